"""The receiver of Docusign Connect: whom it believes, what it stores, and what it answers."""

import base64
import hashlib
import json
import random
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.db import OperationalError, connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from dashboard.addresses import source_of
from dashboard.models import Account, Delivery, Hook, HookKey
from dashboard.services import hooks
from tests.connect_events import KEY, add_key, address, body_of, event, headers_for, hook_for, send, signature
from tests.factories import AccountFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def hook(account: Account) -> Hook:
    return hook_for(account)


@pytest.fixture(autouse=True)
def _nobody_floods() -> Iterator[None]:
    hooks._flooding.clear()
    yield
    hooks._flooding.clear()


def post(hook: Hook, body: bytes, headers: dict[str, str] | None = None, **extra: Any) -> Any:
    return Client().post(address(hook), body, content_type="application/json", headers=headers or {}, **extra)


def test_the_test_signature_is_the_published_one() -> None:
    """W-1: RFC 4231, test case 2, so that tests and product are not wrong alike."""
    digest = bytes.fromhex("5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843")
    assert signature(b"what do ya want for nothing?", "Jefe") == base64.b64encode(digest).decode()


def test_a_signed_event_is_stored_byte_for_byte(hook: Hook) -> None:
    body = json.dumps(event(hook.account), indent=3).replace("\n", "\r\n").encode()
    answer = post(hook, body, headers_for(body))
    delivery = Delivery.objects.get()
    assert (answer.status_code, answer.content) == (204, b"")
    assert bytes(delivery.body) == body
    assert (delivery.state, delivery.event, delivery.key_label) == ("waiting", "workflow-completed", "key 1")


def broken(body: bytes) -> Iterator[tuple[str, bytes, dict[str, str]]]:
    good = headers_for(body)
    flipped = bytearray(body)
    flipped[len(body) // 2] ^= 1
    yield "one bit flipped", bytes(flipped), good
    yield "written anew", json.dumps(json.loads(body), indent=1).encode(), good
    yield "other line ends", body.replace(b",", b",\r\n"), good
    yield "no signature", body, {}
    yield "empty signature", body, {"X-DocuSign-Signature-1": ""}
    yield "of another body", body, headers_for(body + b" ")
    yield "of another key", body, headers_for(body, "another key of thirty-two characters")
    yield "of an empty key", body, headers_for(body, "")
    yield "in hexadecimal", body, {"X-DocuSign-Signature-1": hashlib.sha256(body).hexdigest()}
    yield "under another name", body, {"X-DocuSign-Signature": good["X-DocuSign-Signature-1"]}


def test_whatever_is_not_signed_is_refused_and_not_stored(hook: Hook) -> None:
    """W-1: 401 and no row."""
    answers = {name: post(hook, body, headers).status_code for name, body, headers in broken(body_of(event("x")))}
    assert set(answers.values()) == {401}, answers
    assert not Delivery.objects.exists()
    hook.refresh_from_db()
    assert hook.refused == len(answers)
    assert hook.last_refused_at is not None


def test_without_any_key_everything_is_refused(account: Account) -> None:
    """W-1: no key, no belief; an empty key in the settings is none."""
    hook = Hook.objects.create(account=account, token="no-keys")
    assert send(hook, event(account)) == 401
    assert send(hook, event(account), "") == 401


def test_any_active_key_may_match_any_of_ten_headers(hook: Hook) -> None:
    """W-2, W-3: all keys against all headers; an eleventh header is not looked at."""
    add_key(hook, "the second key of thirty-two chars", "key 2")
    others = [f"foreign key number {number}" for number in range(10)]
    assert send(hook, event(hook.account), *others[:9], "the second key of thirty-two chars") == 204
    assert send(hook, event(hook.account), *others, KEY) == 401
    assert Delivery.objects.get().key_label == "key 2"


def test_no_signature_header_whatever_it_holds_is_an_error(hook: Hook, settings: Any) -> None:
    """W-2: 10,000 headers of any characters: only 401."""
    chance = random.Random(7)
    body = body_of(event(hook.account))
    keys = [key.secret for key in hooks.active_keys(Hook.objects.get())]
    for _ in range(10_000):
        value = "".join(chr(chance.choice((chance.randrange(256), chance.randrange(0x110000)))) for _ in range(20))
        assert hooks.verify_signature(body, {f"X-DocuSign-Signature-{chance.randrange(99)}": value}, keys) is None
    for value in ("\xe9" * 44, "é", "\xff", "=" * 44, "A" * 8000):
        assert post(hook, body, {"X-DocuSign-Signature-1": value.encode().decode("latin-1")}).status_code == 401


def test_keys_come_and_go_without_a_restart(hook: Hook) -> None:
    """W-3: both keys count while they are rolled, and no event is refused meanwhile."""
    new = "the new key of thirty-two characters"
    answers = [send(hook, event(hook.account), KEY)]
    add_key(hook, new, "new")
    answers += [send(hook, event(hook.account), KEY, new), send(hook, event(hook.account), new)]
    HookKey.objects.get(label="key 1").delete()
    answers += [send(hook, event(hook.account), KEY, new)]
    assert answers == [204] * 4
    assert send(hook, event(hook.account), KEY) == 401
    assert HookKey.objects.get().last_used_at is not None


def test_a_key_of_the_settings_counts_and_its_use_is_noted(account: Account, settings: Any) -> None:
    settings.CONNECT_HMAC_KEYS = ["", f" {KEY} "]
    hook = Hook.objects.create(account=account, token="settings-only")
    assert send(hook, event(account)) == 204
    row = HookKey.objects.get()
    assert (row.label, row.sealed_key, row.fingerprint) == ("CONNECT_HMAC_KEYS, key 2", "", hooks.fingerprint_of(KEY))
    assert row.last_used_at is not None
    settings.CONNECT_HMAC_KEYS = []
    assert send(hook, event(account)) == 401


def test_a_key_that_does_not_open_leaves_the_others_in_force(hook: Hook) -> None:
    HookKey.objects.create(hook=hook, label="moved", fingerprint="0" * 16, sealed_key=hook.keys.get().sealed_key)
    assert send(hook, event(hook.account)) == 204


def test_the_last_event_and_its_key_are_noted(hook: Hook) -> None:
    """W-3, W-10."""
    before = timezone.now()
    send(hook, event(hook.account))
    hook.refresh_from_db()
    assert hook.last_event_at is not None
    assert hook.last_event_at >= before
    assert hook.last_key == "key 1"


def test_a_redelivery_is_taken_and_stored_once(hook: Hook) -> None:
    """W-5: the same event with a growing retryCount."""
    message = event(hook.account)
    assert [send(hook, message | {"retryCount": count}) for count in range(10)] == [204] * 10
    assert Delivery.objects.count() == 1


def test_an_event_without_ids_is_known_again_by_its_content(hook: Hook) -> None:
    """W-5: SHA-256 of the body without retryCount."""
    message = {"event": "workflow-started", "retryCount": 0, "data": {"accountId": str(hook.pk), "note": "first"}}
    assert [send(hook, message | {"retryCount": count}) for count in range(3)] == [204] * 3
    send(hook, message | {"data": {"accountId": str(hook.pk), "note": "second"}})
    assert Delivery.objects.count() == 2


def test_an_event_for_another_account_is_counted_and_not_stored(hook: Hook) -> None:
    """W-9: the key of account A says nothing about account B."""
    other = AccountFactory()
    hook_for(other, "the key of the other account, long", token="other")
    assert send(hook, event(other)) == 204
    assert send(hook, event("not a uuid at all")) == 204
    hook.refresh_from_db()
    assert hook.foreign >= 1
    assert not Delivery.objects.filter(account=other).exists()
    assert send(hook, event(hook.account), "the key of the other account, long") == 401


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"not json",
        b"[]",
        b'"text"',
        b'{"event":"x","data":{"n":NaN}}',
        b"\xff\xfe{}",
        b'{"event":""}',
        b'{"event":5}',
        b'{"event":"x","data":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b'{"event":"x","data":' + b'{"a":' * 60 + b"1" + b"}" * 60 + b"}",
    ],
    ids=lambda body: f"{len(body)}-{body[:12]!r}",
)
def test_a_signed_message_that_cannot_be_read_is_kept_aside(body: bytes, hook: Hook) -> None:
    """W-7: taken, stored, dead with its reason; never a 500."""
    assert send(hook, body) == 204
    delivery = Delivery.objects.get()
    assert (delivery.state, bytes(delivery.body)) == ("dead", body)
    assert delivery.message.startswith("Not read: the message")


def test_hostile_text_in_an_event_can_be_stored(hook: Hook) -> None:
    """W-7: what PostgreSQL and UTF-8 cannot hold."""
    body = body_of(event(hook.account, event="a\0b\u202e"))
    assert send(hook, body) == 204
    assert "\0" not in Delivery.objects.get().event


def test_a_large_body_is_refused(hook: Hook, settings: Any) -> None:
    """W-6: 1 MiB by default; also above the size of any form, without a page."""
    for size in (1_048_577, 2 * 1_048_576, 3 * 1_048_576):
        answer = post(hook, b"x" * size)
        assert (answer.status_code, answer.content) == (413, b"")
    settings.CONNECT_MAX_BODY_BYTES = 10
    assert post(hook, b"x" * 11).status_code == 413
    assert post(hook, b"x" * 10).status_code == 401


def test_only_post_is_taken(hook: Hook) -> None:
    """W-11: no other method, and no sign of a session."""
    for method in ("get", "put", "delete", "patch", "head", "options"):
        answer = getattr(Client(), method)(address(hook))
        assert (answer.status_code, answer.headers["Allow"], answer.content) == (405, "POST", b"")


def test_no_answer_redirects_or_sets_a_cookie(hook: Hook) -> None:
    """W-11: whatever is sent, with the cookies of a browser too."""
    client = Client(enforce_csrf_checks=True)
    client.cookies["session"] = "something old"
    body = body_of(event(hook.account))
    answers = [
        client.post(address(hook), body, content_type="application/json", headers=headers_for(body)),
        client.post(address(hook), body, content_type="application/json"),
        client.post(address(hook)[:-1], body, content_type="application/json"),
        client.post("/hooks/docusign/unknown/", body, content_type="application/json"),
        client.get(address(hook)),
    ]
    assert [answer.status_code for answer in answers] == [204, 401, 404, 404, 405]
    assert not any(answer.cookies or answer.has_header("Location") for answer in answers)


@pytest.mark.parametrize(
    "path", ["unknown/", "", "a%00b/", "x" * 5000 + "/", "../../signin/", "tok-3nHn1Zq0f8m2/more/"]
)
def test_every_unknown_address_answers_alike(path: str, hook: Hook) -> None:
    answer = Client().post(f"/hooks/docusign/{path}", b"{}", content_type="application/json")
    assert (answer.status_code, answer.content) == (404, b"")


def test_the_receiver_of_an_account_that_is_not_served_is_unknown(hook: Hook, settings: Any) -> None:
    settings.CONSOLE_ACCOUNTS = ["11111111-5a0e-4c1b-9a52-3f0f6a7c1d01"]
    assert send(hook, event(hook.account)) == 404


@pytest.fixture
def new_minute() -> Iterator[None]:
    """The clock at the begin of a minute, so that what is counted by the minute falls into one."""
    with time_machine.travel(timezone.now().replace(second=0, microsecond=0)):
        yield


def test_a_flood_of_forgeries_is_told_to_wait_and_docusign_is_not(hook: Hook, new_minute: None) -> None:
    """W-6: 60 bad signatures a minute from one address; the good ones still count."""
    body = body_of(event(hook.account))
    answers = [post(hook, body, {"X-DocuSign-Signature-1": "bad"}).status_code for _ in range(65)]
    assert answers == [401] * 60 + [429] * 5
    assert post(hook, body, REMOTE_ADDR="192.0.2.9").status_code == 401
    assert send(hook, event(hook.account)) == 204
    with CaptureQueriesContext(
        connection,
    ) as queries:
        assert post(hook, body).status_code == 429
    assert len(queries) <= 2


def test_a_new_minute_begins_anew(hook: Hook, monkeypatch: pytest.MonkeyPatch) -> None:
    hooks.HookRefusal.objects.create(
        address="127.0.0.1", minute=timezone.now().replace(second=0, microsecond=0) - timedelta(minutes=1), count=500
    )
    assert post(hook, b"{}").status_code == 401


def test_addresses_of_one_customer_count_together() -> None:
    """W-6: whoever has one IPv6 address has 2^64 of them."""
    assert source_of("2001:db8:1:2:3:4:5:6") == source_of("2001:db8:1:2::9") == "2001:db8:1:2::/64"
    assert source_of("198.51.100.7") == "198.51.100.7"
    assert source_of("unix:") == "unix:"


def test_a_message_costs_few_queries(hook: Hook) -> None:
    """W-4: two reads and one transaction."""
    send(hook, event(hook.account))
    with CaptureQueriesContext(connection) as queries:
        send(hook, event(hook.account))
    assert len([query for query in queries if query["sql"].split()[0] in {"SELECT", "INSERT", "UPDATE"}]) <= 3


def test_a_busy_database_is_never_a_false_success(hook: Hook) -> None:
    """W-4, D-3: 503, and the redelivery lands once."""
    message = event(hook.account)

    def refuse(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if sql.startswith(("INSERT", "UPDATE")):
            raise OperationalError("database is locked")
        return execute(sql, params, many, context)

    with connection.execute_wrapper(refuse):
        assert send(hook, message) == 503
        assert post(hook, b"{}").status_code == 401
    assert not Delivery.objects.exists()
    assert [send(hook, message | {"retryCount": count}) for count in (1, 2)] == [204, 204]
    assert Delivery.objects.count() == 1


def test_the_token_never_reaches_the_log(hook: Hook, caplog: pytest.LogCaptureFixture) -> None:
    for answer in (post(hook, b"{}"), Client().get(address(hook)), post(hook, b"x" * 2_000_000)):
        assert answer.status_code >= 400
    assert hook.token not in caplog.text
