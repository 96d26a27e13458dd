"""Sends events the way Docusign Connect does. Rule: the signature is over the bytes as sent; the `data` is an assumption.

The envelope (event, retryCount, configurationId, apiVersion, generatedDateTime, data.accountId, data.userId) is published. What
`data` holds for the three workflow events is not, so its instance and workflow members are this simulator's guess.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import http.client
from collections import deque
from dataclasses import asdict, dataclass, field, fields
from typing import Any
from urllib.parse import urlsplit

import msgspec

from .clock import iso_ticks
from .state import World

EVENTS = ("workflow-started", "workflow-failed", "workflow-completed")
LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
HEADERS_AT_MOST = 100
LOG_KEPT = 500


@dataclass(slots=True)
class ConnectSettings:
    """Where events go, and with which keys; `auto` sends them as instances move."""

    url: str | None = None
    keys: list[str] = field(default_factory=list)
    events: list[str] = field(default_factory=lambda: list(EVENTS))
    account_id: str | None = None
    auto: bool = True
    timeout_seconds: float = 5.0


@dataclass(slots=True)
class Message:
    """One event, ready to be sent as often as wanted."""

    event: str
    instance_id: str
    payload: dict[str, Any]


class Connect:
    """Builds, signs and sends; failed ones wait until something is sent with success."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.settings = ConnectSettings()
        self.waiting: deque[Message] = deque(maxlen=10_000)
        self.failed: deque[Message] = deque(maxlen=10_000)
        self.log: deque[dict[str, Any]] = deque(maxlen=LOG_KEPT)

    def configure(self, members: dict[str, Any]) -> None:
        """Replace the configuration; raises ValueError on an address that is not on this machine."""
        if unknown := members.keys() - {one.name for one in fields(ConnectSettings)}:
            raise ValueError(f"Unknown settings: {', '.join(sorted(unknown))}.")
        if isinstance(members.get("keys"), str):
            members = members | {"keys": [members["keys"]]}
        settings = msgspec.convert(members, ConnectSettings)
        if settings.url is not None and urlsplit(settings.url).hostname not in LOOPBACK:
            raise ValueError("Events are sent to loopback addresses only.")
        if unknown := set(settings.events) - set(EVENTS):
            raise ValueError(f"Unknown events: {', '.join(sorted(unknown))}.")
        self.settings = settings

    def notice(self, event: str, row: int, moment: float) -> None:
        """An instance moved: queue its event when the configuration wants it."""
        settings = self.settings
        if settings.url is None or not settings.auto or event not in settings.events:
            return
        if settings.account_id in (None, self.world.workflow_of(row).account_id):
            self.waiting.append(self.message(event, row, moment))

    def message(self, event: str, row: int, moment: float) -> Message:
        workflow, data = self.world.workflow_of(row), self.world.instances
        instance_id, user_id = data.id_of(row), self.world.starters[data.starter[row]]
        payload = {
            "event": event,
            "uri": f"/v1/accounts/{workflow.account_id}/workflows/{workflow.id}/instances/{instance_id}",
            "retryCount": 0,
            "configurationId": 12345,
            "apiVersion": "v2.1",
            "generatedDateTime": iso_ticks(moment),
            "data": {
                "accountId": workflow.account_id,
                "userId": user_id,
                "workflowId": workflow.id,
                "instanceId": instance_id,
                "name": self.world.name_of(row),
                "status": data.raw_status(row),
            },
        }
        return Message(event, instance_id, payload)

    def sign(self, body: bytes, account_id: str, keys: list[str]) -> dict[str, str]:
        headers = {
            "Content-Type": "application/json; charset=utf-8",
            "User-Agent": "DocuSignConnect-Simulator",
            "X-DocuSign-AccountId": account_id,
        }
        if keys:
            headers["X-Authorization-Digest"] = "HMACSHA256"
        for number, key in enumerate(keys[:HEADERS_AT_MOST], start=1):
            digest = hmac.new(key.encode(), body, hashlib.sha256).digest()
            headers[f"X-DocuSign-Signature-{number}"] = base64.b64encode(digest).decode()
        return headers

    def deliver(self, message: Message, *, keys: list[str] | None = None, tamper: bool = False) -> dict[str, Any]:
        """Send one message now and say what came back. Never call this with the lock held."""
        body = msgspec.json.encode(message.payload)
        headers = self.sign(body, message.payload["data"]["accountId"], self.settings.keys if keys is None else keys)
        if tamper:
            body = body.replace(b'"retryCount":', b'"retryCount": ', 1)
        status, error = self._post(body, headers)
        entry = {
            "event": message.event,
            "instance_id": message.instance_id,
            "retry_count": message.payload["retryCount"],
            "generated_at": message.payload["generatedDateTime"],
            "status": status,
            "error": error,
        }
        self.log.append(entry)
        return entry

    def _post(self, body: bytes, headers: dict[str, str]) -> tuple[int | None, str | None]:
        parts = urlsplit(self.settings.url or "")
        if parts.hostname not in LOOPBACK:
            return None, "No address is configured."
        connection = http.client.HTTPConnection(parts.hostname, parts.port or 80, timeout=self.settings.timeout_seconds)
        try:
            connection.request("POST", (parts.path or "/") + (f"?{parts.query}" if parts.query else ""), body, headers)
            answer = connection.getresponse()
            answer.read(1 << 16)
            return answer.status, None
        except (OSError, http.client.HTTPException) as error:
            return None, f"{type(error).__name__}: {error}"
        finally:
            connection.close()

    def pump(self) -> int:
        """Send what is waiting; after a success also what failed before. Gives back how many were sent."""
        sent = 0
        while self.waiting:
            message = self.waiting.popleft()
            sent += 1
            if not _is_success(self.deliver(message)):
                self.failed.append(message)
                continue
            for _ in range(len(self.failed)):
                again = self.failed.popleft()
                again.payload["retryCount"] += 1
                if not _is_success(self.deliver(again)):
                    self.failed.append(again)
        return sent

    def describe(self) -> dict[str, Any]:
        settings = asdict(self.settings)
        settings["keys"] = len(self.settings.keys)
        return settings | {"waiting": len(self.waiting), "failed": len(self.failed), "log": list(self.log)}


def _is_success(entry: dict[str, Any]) -> bool:
    return entry["status"] is not None and 200 <= entry["status"] < 300
