"""Messages of Docusign Connect for tests, signed the way that Docusign documents it, by code of the tests' own."""

import base64
import hashlib
import hmac
import json
import uuid
from typing import Any

from django.test import Client

from dashboard import crypto
from dashboard.models import Account, Hook, HookKey
from dashboard.services.hooks import fingerprint_of, key_place
from tests.processes import RunningConsole, wait_until

KEY = "a key of thirty-two characters, ok"


def hook_for(account: Account, *secrets: str, token: str = "tok-3nHn1Zq0f8m2") -> Hook:
    """The receiver of an account with these keys."""
    hook = Hook.objects.create(account=account, token=token)
    for number, secret in enumerate(secrets or (KEY,), start=1):
        add_key(hook, secret, f"key {number}")
    return hook


def add_key(hook: Hook, secret: str, label: str) -> HookKey:
    row = HookKey(hook=hook, label=label, fingerprint=fingerprint_of(secret))
    row.sealed_key = crypto.seal(secret, *key_place(row))
    row.save()
    return row


def event(account: Account | str, **changes: Any) -> dict[str, Any]:
    """An event as the simulator's assumption has it; `data` is merged, other members replace."""
    data = {
        "accountId": str(getattr(account, "pk", account)),
        "userId": str(uuid.uuid4()),
        "workflowId": str(uuid.uuid4()),
        "instanceId": str(uuid.uuid4()),
    } | changes.pop("data", {})
    return {
        "event": "workflow-completed",
        "retryCount": 0,
        "configurationId": 12345,
        "apiVersion": "v2.1",
        "generatedDateTime": "2026-05-01T10:00:00.0000000Z",
        "data": data,
    } | changes


def body_of(message: dict[str, Any]) -> bytes:
    return json.dumps(message, separators=(",", ":")).encode()


def signature(body: bytes, secret: str) -> str:
    return base64.b64encode(hmac.digest(secret.encode(), body, hashlib.sha256)).decode()


def headers_for(body: bytes, *secrets: str) -> dict[str, str]:
    """One header a key, numbered from 1."""
    return {f"X-DocuSign-Signature-{n}": signature(body, secret) for n, secret in enumerate(secrets or (KEY,), start=1)}


def address(hook: Hook) -> str:
    return f"/hooks/docusign/{hook.token}/"


def send(hook: Hook, message: dict[str, Any] | bytes, *secrets: str, client: Client | None = None) -> int:
    """Post it, well signed with these keys; the status that came back."""
    body = message if isinstance(message, bytes) else body_of(message)
    answer = (client or Client()).post(
        address(hook), body, content_type="application/json", headers=headers_for(body, *secrets)
    )
    return answer.status_code


def status_of_sent(console: RunningConsole, order: dict[str, Any]) -> int:
    """What the receiver of a demo answers to the one event of such an order; while it is busy, Docusign comes again."""

    def told() -> int | None:
        [sent] = console.control("POST", "/connect/send", order)
        return None if sent["status"] in (None, 503) else int(sent["status"])

    return int(wait_until("the receiver is not busy", told))
