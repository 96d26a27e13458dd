"""Connect messages: the signature over raw bytes, and tolerant but bounded parsing."""

import base64
import hashlib
import hmac
import json
from datetime import UTC, datetime

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from maestro_api import UnreadableEvent, parse_event, verify_signature
from tests.maestro_api.conftest import ACCOUNT, INSTANCE, USER, WORKFLOW

BODY = b'{"event":"workflow-completed",\r\n "data":{"accountId":"x"}}'


def signed(body, key):
    return base64.b64encode(hmac.new(key.encode(), body, hashlib.sha256).digest()).decode()


def test_a_known_vector_is_accepted():
    """W-1: RFC 4231 test case 2, in base64 as Docusign sends it."""
    expected = base64.b64encode(
        bytes.fromhex("5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843")
    ).decode()
    body = b"what do ya want for nothing?"
    assert verify_signature(body, {"X-DocuSign-Signature-1": expected}, ["Jefe"]) == 0


@pytest.mark.parametrize(
    ("body", "headers", "keys"),
    [
        (json.dumps(json.loads(BODY)).encode(), {"X-DocuSign-Signature-1": signed(BODY, "k")}, ["k"]),
        (BODY.replace(b"\r\n", b"\n"), {"X-DocuSign-Signature-1": signed(BODY, "k")}, ["k"]),
        (bytes([BODY[0] ^ 1]) + BODY[1:], {"X-DocuSign-Signature-1": signed(BODY, "k")}, ["k"]),
        (BODY, {}, ["k"]),
        (BODY, {"X-DocuSign-Signature": signed(BODY, "k")}, ["k"]),
        (BODY, {"X-DocuSign-Signature-1": ""}, ["k"]),
        (BODY, {"X-DocuSign-Signature-1": signed(b"other", "k")}, ["k"]),
        (BODY, {"X-DocuSign-Signature-1": signed(BODY, "")}, [""]),
        (BODY, {"X-DocuSign-Signature-1": signed(BODY, "")}, []),
        (BODY, {"X-DocuSign-Signature-1": signed(BODY, "k")[:-1]}, ["k"]),
        (BODY, {"X-DocuSign-Signature-1": signed(BODY, "k").lower()}, ["k"]),
    ],
)
def test_anything_but_the_very_bytes_with_a_key_is_refused(body, headers, keys):
    """W-1: re-serialised, line ends changed, a bit flipped, no header, empty key, other body, no key at all."""
    assert verify_signature(body, headers, keys) is None


def test_any_active_key_may_match_any_header():
    """W-1, W-3: two keys during a roll, signatures in any header; the index says which key it was."""
    headers = {"x-docusign-signature-1": signed(BODY, "gone"), "X-DOCUSIGN-SIGNATURE-2": signed(BODY, "new")}
    assert verify_signature(BODY, headers, ["old", "new"]) == 1


def test_a_key_that_stands_twice_is_found_at_its_first_place():
    assert verify_signature(BODY, {"X-DocuSign-Signature-1": signed(BODY, "k")}, ["a", "k", "k"]) == 1


def test_only_ten_headers_are_looked_at():
    """W-2: more are not worth the time."""
    headers = {f"X-DocuSign-Signature-{n}": "no" for n in range(1, 11)}
    assert verify_signature(BODY, headers | {"X-DocuSign-Signature-11": signed(BODY, "k")}, ["k"]) is None
    del headers["X-DocuSign-Signature-10"]
    assert verify_signature(BODY, headers | {"X-DocuSign-Signature-11": signed(BODY, "k")}, ["k"]) == 0


def test_every_key_is_compared_with_every_header(monkeypatch):
    """W-2: no early exit, so time tells nothing."""
    compared = []
    real = hmac.compare_digest
    monkeypatch.setattr(hmac, "compare_digest", lambda a, b: compared.append(type(b)) or real(a, b))
    headers = {f"X-DocuSign-Signature-{n}": signed(BODY, "a") for n in range(1, 4)}
    assert verify_signature(BODY, headers, ["a", "b"]) == 0
    assert compared == [bytes] * 6


@settings(deadline=None, max_examples=150)
@example(value="\ud800", name="1")
@given(value=st.text(max_size=80), name=st.sampled_from(["1", "2", "x", "", "١"]))
def test_no_header_can_break_the_check(value, name):
    """W-2: text that is no ASCII, even half a surrogate pair, is simply no match."""
    assert verify_signature(BODY, {f"X-DocuSign-Signature-{name}": value}, ["k"]) is None


@settings(deadline=None, max_examples=200)
@given(
    body=st.binary(max_size=200),
    keys=st.lists(st.text(st.characters(codec="utf-8"), min_size=1, max_size=20), unique=True, min_size=1, max_size=4),
    data=st.data(),
)
def test_a_signature_belongs_to_its_key_and_its_bytes(body, keys, data):
    """W-1: signing with key i gives i; one changed byte gives nothing."""
    index = data.draw(st.integers(0, len(keys) - 1))
    headers = {"X-DocuSign-Signature-1": signed(body, keys[index])}
    assert verify_signature(body, headers, keys) == index
    assert verify_signature(body + b" ", headers, keys) is None


def event(**members):
    base = {
        "event": "workflow-completed",
        "retryCount": 0,
        "configurationId": 12345,
        "generatedDateTime": "2026-05-01T10:00:00.0000000Z",
        "data": {"accountId": ACCOUNT, "userId": USER, "instanceId": INSTANCE, "workflowId": WORKFLOW},
    }
    return json.dumps(base | members).encode()


def test_an_event_is_read():
    found = parse_event(event())
    assert (found.event, found.account_id, found.instance_id) == ("workflow-completed", ACCOUNT, INSTANCE)
    assert (found.workflow_id, found.status) == (WORKFLOW, None)
    assert found.generated_at == datetime(2026, 5, 1, 10, tzinfo=UTC)
    assert found.raw["configurationId"] == 12345


@pytest.mark.parametrize("name", ["instanceId", "instance_id", "InstanceID", "workflowInstanceId", "dacId", "DAC_ID"])
@pytest.mark.parametrize("depth", [0, 1, 3])
def test_ids_are_found_by_name_within_four_levels(name, depth):
    """W-7: the exact shape is not published."""
    data = {name: "{" + INSTANCE.upper() + "}", "template_id": WORKFLOW, "Status": "Completed"}
    for _ in range(depth):
        data = {"inner": [data]} if depth == 1 else {"inner": data}
    found = parse_event(event(data=data))
    assert (found.instance_id, found.workflow_id, found.status) == (INSTANCE, WORKFLOW, "Completed")


@pytest.mark.parametrize("data", [None, [], "x", {}, {"instanceId": "not a uuid"}, {"instanceId": 7}])
def test_an_event_without_usable_ids_is_still_an_event(data):
    """W-7: ids are UUIDs or nothing; the caller then reconciles the account."""
    assert parse_event(event(data=data)).instance_id is None


def test_an_id_below_the_fourth_level_is_not_looked_for():
    data = {"instanceId": INSTANCE}
    for _ in range(4):
        data = {"inner": data}
    assert parse_event(event(data=data)).instance_id is None


def test_a_redelivery_has_the_same_key_and_another_event_has_not():
    """W-5: the retry count does not count."""
    keys = {parse_event(event(retryCount=n)).dedupe_key for n in range(10)}
    assert len(keys) == 1
    nameless = {parse_event(event(retryCount=n, data={})).dedupe_key for n in range(10)}
    assert len(nameless) == 1
    others = [event(event="workflow-failed"), event(generatedDateTime="2026-05-01T10:00:01Z"), event(configurationId=1)]
    assert len(keys | nameless | {parse_event(each).dedupe_key for each in others}) == 5


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b'"text"',
        b"{",
        b"{}",
        b'{"event":7}',
        b'{"event":""}',
        b'{"event":"x","n":NaN}',
        b'{"event":"x","n":' + b"1" * 5000 + b"}",
        b'{"event":"\\ud800 half a pair here"}',
        b'{"event":"\xff"}',
        b'{"event":"x","d":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b'{"event":"x","d":' + b"[" * 51 + b"]" * 51 + b"}",
        b'{"event":"' + b"x" * 201 + b'"}',
    ],
    ids=lambda body: repr(body[:20]),
)
def test_a_poison_message_is_a_typed_error(body):
    """W-7: no object, no event, NaN, huge numbers, bad text, too deep."""
    with pytest.raises(UnreadableEvent):
        parse_event(body)


def test_a_nesting_of_fifty_is_still_read():
    """W-7: the bound is where it is said to be."""
    assert parse_event(b'{"event":"x","d":' + b"[" * 49 + b"]" * 49 + b"}").event == "x"


@settings(deadline=None, max_examples=100)
@given(body=st.binary(max_size=300))
def test_no_bytes_can_break_the_parser(body):
    """W-7: an event or a typed error, nothing else."""
    try:
        found = parse_event(body).event
    except UnreadableEvent as error:
        found = str(error)
    assert found
