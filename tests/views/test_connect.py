"""The events page: who sees and changes what, and what it says about silence and broken events."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from dashboard import crypto
from dashboard.models import AuditEntry, Bucket, Delivery, Hook, HookKey, InstanceState, Membership
from dashboard.services import hook_setup
from dashboard.services.hooks import key_place
from tests.connect_events import KEY, event, hook_for, send
from tests.factories import InstanceFactory, WorkflowFactory

pytestmark = pytest.mark.django_db
SignedIn = Callable[..., Client]
PAGE = "/connect/"


def text_of(client: Client) -> str:
    answer = client.get(PAGE)
    assert answer.status_code == 200
    return answer.content.decode()


def actions() -> list[str]:
    return list(AuditEntry.objects.order_by("seq").values_list("action", flat=True))


def test_an_admin_gives_the_account_an_address_once(admin: Membership, signed_in: SignedIn) -> None:
    client = signed_in(admin)
    assert "Create an address" in text_of(client)
    assert client.post(reverse("connect-create")).status_code == 302
    assert client.post(reverse("connect-create")).status_code == 302
    hook = Hook.objects.get()
    assert len(hook.token) >= 43
    assert actions() == ["connect.created"]
    assert "There is no key, so every event is refused." in text_of(client)


def test_the_address_comes_from_the_settings_not_from_the_request(
    admin: Membership, signed_in: SignedIn, settings: Any
) -> None:
    """W-11, O-5."""
    settings.DOCUSIGN_REDIRECT_URI = "https://console.example.com:8443/oauth/callback/"
    settings.ALLOWED_HOSTS = ["*"]
    hook = hook_for(admin.account)
    page = signed_in(admin).get(PAGE, headers={"Host": "evil.example"}).content.decode()
    assert f"https://console.example.com:8443/hooks/docusign/{hook.token}/" in page
    assert "evil.example" not in page


@pytest.mark.parametrize("who", ["viewer", "operator"])
def test_others_see_the_state_but_not_the_address(
    who: str, request: pytest.FixtureRequest, signed_in: SignedIn
) -> None:
    membership = request.getfixturevalue(who)
    hook = hook_for(membership.account)
    send(hook, event(membership.account))
    page = text_of(signed_in(membership))
    assert hook.token not in page
    assert "shown to admins only" in page
    assert "workflow-completed" in page
    assert reverse("connect-key-add") not in page


def test_a_key_is_sealed_and_never_shown_again(admin: Membership, signed_in: SignedIn) -> None:
    """W-3: only its label, fingerprint and last use are shown."""
    hook = hook_setup.create_hook(admin.account, actor=admin.user)
    client = signed_in(admin)
    answer = client.post(reverse("connect-key-add"), {"label": "November", "key": KEY})
    assert answer.status_code == 302
    row = HookKey.objects.get()
    assert crypto.unseal(row.sealed_key, *key_place(row)) == KEY
    page = text_of(client)
    assert "November" in page
    assert row.fingerprint in page
    assert KEY not in page + str(list(AuditEntry.objects.values_list("detail", "reason", "object_name")))
    assert send(hook, event(admin.account)) == 204
    assert actions() == ["connect.created", "connect.key_added"]


@pytest.mark.parametrize(
    ("label", "key", "said"),
    [
        ("", KEY, "Give the key a label"),
        ("x", "", "Paste the key"),
        ("x", "short", "at least 32 characters"),
        ("x", "k" * 40 + "\u202e" + "k", "characters that no key has"),
    ],
)
def test_a_bad_key_is_refused_and_not_sent_back(
    label: str, key: str, said: str, admin: Membership, signed_in: SignedIn
) -> None:
    hook_setup.create_hook(admin.account, actor=admin.user)
    answer = signed_in(admin).post(reverse("connect-key-add"), {"label": label, "key": key})
    assert answer.status_code == 422
    assert said in answer.content.decode()
    assert not HookKey.objects.exists()
    assert not key or f'value="{key}"' not in answer.content.decode()


def test_a_key_twice_is_refused(admin: Membership, signed_in: SignedIn) -> None:
    hook_for(admin.account)
    answer = signed_in(admin).post(reverse("connect-key-add"), {"label": "again", "key": KEY})
    assert answer.status_code == 422
    assert "here already" in answer.content.decode()
    assert HookKey.objects.count() == 1


def test_an_eleventh_key_is_refused(admin: Membership, signed_in: SignedIn) -> None:
    """W-2: no more keys than signatures that are looked at."""
    hook_for(admin.account, *(f"key number {number} of thirty-two chars" for number in range(10)))
    answer = signed_in(admin).post(reverse("connect-key-add"), {"label": "11", "key": KEY})
    assert answer.status_code == 422
    assert "There are 10 keys already" in answer.content.decode()


def test_a_key_of_the_settings_can_be_kept_here_afterwards(
    admin: Membership, signed_in: SignedIn, settings: Any
) -> None:
    settings.CONNECT_HMAC_KEYS = [KEY]
    hook = hook_setup.create_hook(admin.account, actor=admin.user)
    send(hook, event(admin.account))
    client = signed_in(admin)
    assert "in the settings of the server" in text_of(client)
    assert client.post(reverse("connect-key-add"), {"label": "Kept", "key": KEY}).status_code == 302
    settings.CONNECT_HMAC_KEYS = []
    assert send(hook, event(admin.account)) == 204
    assert HookKey.objects.get().label == "Kept"


def test_a_removed_key_counts_no_more(admin: Membership, signed_in: SignedIn) -> None:
    hook = hook_for(admin.account)
    client = signed_in(admin)
    page = reverse("connect-key-remove", args=[hook.keys.get().pk])
    assert "Remove the key key 1?" in client.get(page).content.decode()
    assert client.post(page).status_code == 302
    assert send(hook, event(admin.account)) == 401
    assert actions() == ["connect.key_removed"]


def test_a_renewed_address_ends_the_old_one(admin: Membership, signed_in: SignedIn) -> None:
    hook = hook_for(admin.account)
    client = signed_in(admin, htmx=True)
    assert client.get(reverse("connect-renew")).status_code == 200
    assert Hook.objects.get().token == hook.token
    answer = client.post(reverse("connect-renew"))
    assert answer.status_code == 204
    assert "connectChanged" in answer.headers["HX-Trigger"]
    assert send(hook, event(admin.account)) == 404
    assert send(Hook.objects.get(), event(admin.account)) == 204
    assert actions() == ["connect.token_renewed"]
    entry = AuditEntry.objects.get()
    assert hook.token not in str(entry.detail) + entry.reason


def test_the_last_event_and_what_was_refused_are_told(admin: Membership, signed_in: SignedIn) -> None:
    """W-3, W-9, W-10."""
    hook = hook_for(admin.account)
    for message, key in ((event(admin.account), KEY), (event("x"), "a foreign key of thirty-two chars"), (b"{", KEY)):
        send(hook, message, key)
    page = text_of(signed_in(admin))
    assert "key 1" in page.partition("signed with")[2].partition("</dd>")[0]
    assert "1 with a bad signature" in page
    assert "1 event could not be read" in page
    assert "Not read: the message is not valid JSON." in page


def test_a_dead_event_can_be_put_back_by_an_admin(admin: Membership, operator: Membership, signed_in: SignedIn) -> None:
    """W-7: replay; one that is still unreadable stays dead, and says why."""
    hook = hook_for(admin.account)
    send(hook, event(admin.account))
    Delivery.objects.update(state="dead", message="Reading its instance failed: KeyError.", next_try_at=None)
    send(hook, b"{")
    good, bad = Delivery.objects.order_by("pk")
    client = signed_in(admin)
    for row in (good, bad):
        assert client.post(reverse("connect-replay", args=[row.pk])).status_code == 302
    assert list(Delivery.objects.order_by("pk").values_list("state", flat=True)) == ["waiting", "dead"]
    assert "can still not be used" in text_of(client)
    assert actions() == ["connect.replayed", "connect.replayed"]
    client.post(reverse("connect-replay", args=[good.pk]))  # from a page that still offers it
    assert "neither left alone nor unreadable any more" in text_of(client)
    assert signed_in(operator).post(reverse("connect-replay", args=[good.pk])).status_code == 403


def test_silence_while_instances_end_is_told(admin: Membership, signed_in: SignedIn) -> None:
    """W-10: Connect alone is never trusted; silence is noticed."""
    hook = hook_for(admin.account)
    long_ago = timezone.now() - timedelta(hours=3)
    Hook.objects.update(last_event_at=long_ago)
    client = signed_in(admin)
    workflow = WorkflowFactory(account=admin.account)
    InstanceFactory(workflow=workflow)
    assert "No events since" not in text_of(client)
    InstanceFactory(
        workflow=workflow, status=InstanceState.COMPLETED, last_modified_at=timezone.now() - timedelta(hours=1)
    )
    assert "No events since" in text_of(client)
    send(hook, event(admin.account))
    assert "No events since" not in text_of(client)


def test_a_canceled_instance_is_no_reason_to_miss_an_event(admin: Membership) -> None:
    """W-10: there is no event of a cancel or an expiry."""
    hook = hook_for(admin.account)
    Hook.objects.update(last_event_at=timezone.now() - timedelta(hours=3))
    hook.refresh_from_db()
    ended = InstanceFactory(
        workflow=WorkflowFactory(account=admin.account),
        status=InstanceState.CANCELED,
        last_modified_at=timezone.now() - timedelta(hours=1),
    )
    assert ended.bucket == Bucket.CANCELED
    assert hook_setup.silent_since(hook) is None


def test_what_connect_cannot_tell_is_said(viewer: Membership, signed_in: SignedIn) -> None:
    """W-10."""
    assert "nothing about canceled, expired or paused instances" in text_of(signed_in(viewer))
