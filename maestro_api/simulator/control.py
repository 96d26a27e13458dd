"""The control calls under /_control. Rule: loopback only, JSON only, never in the ledger, never hit by faults or limits."""

from __future__ import annotations

import ipaddress
from array import array
from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import msgspec

from . import connect_send
from .messages import SimRequest, SimResponse, json_response
from .people import LEVELS, MAIN_ACCOUNT_ID
from .profiles import PROFILES
from .state import Settings, Workflow
from .token_endpoint import new_key
from .tokens import Client

if TYPE_CHECKING:
    from .core import Simulator

PREFIX = "/_control"
_ENCODER = msgspec.json.Encoder()
Answer = tuple[int, Any]


class Control:
    """One method a call; each gives (status, JSON)."""

    def __init__(self, sim: Simulator) -> None:
        self.sim = sim
        self._calls: dict[tuple[str, str], Callable[[SimRequest, str], Answer]] = {
            ("POST", "token"): self._token,
            ("GET", "ledger"): self._ledger,
            ("DELETE", "ledger"): self._clear_ledger,
            ("GET", "state"): self._state,
            ("POST", "state"): self._add,
            ("POST", "workflows"): self._workflow,
            ("POST", "instances"): self._instance,
            ("POST", "people"): self._person,
            ("GET", "people"): self._people,
            ("POST", "revoke"): self._revoke,
            ("GET", "faults"): lambda request, name: (200, self.sim.faults.describe()),
            ("POST", "faults"): self._faults,
            ("DELETE", "faults"): self._clear_faults,
            ("GET", "clock"): self._clock,
            ("POST", "clock"): self._clock,
            ("GET", "limits"): lambda request, name: (200, self.sim.limits.describe()),
            ("POST", "limits"): self._limits,
            ("GET", "profile"): self._profile,
            ("POST", "profile"): self._profile,
            ("POST", "account-list"): self._account_list,
            ("GET", "connect"): lambda request, name: (200, self.sim.connect.describe()),
            ("POST", "connect"): self._connect,
            ("POST", "connect/send"): self._send,
            ("POST", "clients"): self._client,
            ("GET", "evil"): self._evil,
        }

    def answer(self, request: SimRequest) -> SimResponse:
        if not _is_loopback(request):
            return json_response(403, {"error": "The control calls answer on the loopback address only."})
        path = request.route[len(PREFIX) :].strip("/")
        noun, _, name = path.partition("/")
        call = self._calls.get((request.method, path)) or (
            self._calls.get((request.method, noun)) if noun in ("workflows", "instances", "people") else None
        )
        if call is None:
            return json_response(404, {"error": f"There is no control call {request.method} {request.route}."})
        try:
            status, body = call(request, name)
        except (ValueError, TypeError, msgspec.ValidationError) as error:
            return json_response(400, {"error": str(error)})
        except KeyError as error:
            return json_response(404, {"error": f"{error.args[0]!r} is not known."})
        return json_response(status, body)

    def _token(self, request: SimRequest, name: str) -> Answer:
        body = _object(request)
        scopes = body.get("scope") or body.get("scopes")
        extra: dict[str, Any] = {}
        if scopes:
            extra["scopes"] = frozenset(scopes.split() if isinstance(scopes, str) else scopes)
        return 200, self.sim.token(str(body.get("person", "")), body.get("expires_in"), **extra)

    def _ledger(self, request: SimRequest, name: str) -> Answer:
        return 200, self.sim.ledger(int(request.param("since") or 0))

    def _clear_ledger(self, request: SimRequest, name: str) -> Answer:
        self.sim.clear_ledger()
        return 200, {}

    def _state(self, request: SimRequest, name: str) -> Answer:
        return 200, self.sim.state(counts_only=request.param("counts") is not None, encoded=True)

    def _add(self, request: SimRequest, name: str) -> Answer:
        body = _object(request)
        account_id = str(body.get("account_id") or MAIN_ACCOUNT_ID)
        self.sim.add_data(int(body.get("workflows", 0)), int(body.get("instances", 0)), account_id)
        return 200, self.sim.state(counts_only=True)

    def _workflow(self, request: SimRequest, name: str) -> Answer:
        self.sim.set_workflow(name, **_object(request))
        return 200, {"id": name}

    def _instance(self, request: SimRequest, name: str) -> Answer:
        self.sim.set_instance(name, **_object(request))
        return 200, {"id": name}

    def _person(self, request: SimRequest, name: str) -> Answer:
        body = _object(request)
        if self.sim.world.person(name) is None:
            name = name.replace("+", " ")  # a form's way of writing a space
        self.sim.set_level(name, str(body.get("level")), body.get("account_id"))
        return 200, {"person": name, "level": body.get("level")}

    def _people(self, request: SimRequest, name: str) -> Answer:
        people = self.sim.world.people.values()
        return 200, [{"name": p.name, "user_id": p.sub, "level": p.level, "account_ids": p.account_ids} for p in people]

    def _revoke(self, request: SimRequest, name: str) -> Answer:
        return 200, {"revoked": self.sim.revoke(str(_object(request).get("person", "")))}

    def _faults(self, request: SimRequest, name: str) -> Answer:
        body = request.json()
        if isinstance(body, dict):
            body = body.get("faults", [body])
        if not isinstance(body, list):
            raise ValueError("The body must be a list of faults.")
        self.sim.set_faults(body)
        return 200, self.sim.faults.describe()

    def _clear_faults(self, request: SimRequest, name: str) -> Answer:
        self.sim.set_faults([])
        return 200, {}

    def _clock(self, request: SimRequest, name: str) -> Answer:
        body = _object(request) if request.method == "POST" else {}
        now = self.sim.clock.advance(float(body.get("advance_seconds", 0)))
        self.sim.tick()
        return 200, {"now": now}

    def _limits(self, request: SimRequest, name: str) -> Answer:
        self.sim.set_limits(**_object(request))
        return 200, self.sim.limits.describe()

    def _profile(self, request: SimRequest, name: str) -> Answer:
        if request.method == "POST":
            body = request.json()
            self.sim.set_profile(**({"profile": body} if isinstance(body, str) else _object(request)))
        return 200, msgspec.to_builtins(self.sim.world.settings)

    def _account_list(self, request: SimRequest, name: str) -> Answer:
        body = request.json()
        if isinstance(body, dict):
            body = next(iter(body.values())) if len(body) == 1 else None
        if body not in (True, False, "on", "off"):
            raise ValueError('Send {"enabled": true} or {"enabled": false}.')
        self.sim.set_profile(account_list=body in (True, "on"))
        return 200, {"enabled": self.sim.world.settings.account_list}

    def _connect(self, request: SimRequest, name: str) -> Answer:
        with self.sim.world.lock:
            self.sim.connect.configure(_object(request))
        return 200, self.sim.connect.describe()

    def _send(self, request: SimRequest, name: str) -> Answer:
        return 200, connect_send.send(self.sim.world, self.sim.connect, _object(request))

    def _evil(self, request: SimRequest, name: str) -> Answer:
        """Where the listener is that nobody should call, and what it got."""
        if self.sim.evil is None:
            raise ValueError("Only a running server has the second listener.")
        return 200, {"url": self.sim.evil.url, "received": self.sim.evil.received}

    def _client(self, request: SimRequest, name: str) -> Answer:
        """Register a client or change one; `generate_key` gives back a private key for the JWT grant."""
        body = _object(request)
        client_id = str(body.get("client_id", "")).lower()
        if not client_id:
            raise ValueError("client_id is missing.")
        with self.sim.world.lock:
            client = self.sim.tokens.clients.setdefault(
                client_id, Client(client_id, str(body.get("client_secret", "")))
            )
            if "client_secret" in body:
                client.secret = str(body["client_secret"])
            if "redirect_uris" in body:
                client.redirect_uris = tuple(str(uri) for uri in body["redirect_uris"])
            client.public_keys += [str(pem) for pem in body.get("public_keys", [])]
        answer: dict[str, Any] = {"client_id": client.id, "redirect_uris": client.redirect_uris}
        if body.get("generate_key"):
            answer["private_key"] = new_key(client)
        return 200, answer


def _object(request: SimRequest) -> dict[str, Any]:
    body = request.json()
    if not isinstance(body, dict):
        raise ValueError("The body must be a JSON object.")
    return body


def _is_loopback(request: SimRequest) -> bool:
    """The caller and the name it used; the name is checked so that no web page can reach this by a rebound DNS name."""
    host = request.header("host").rpartition(":")[0] or request.header("host")
    if host and host.strip("[]") not in ("localhost", "127.0.0.1", "::1"):
        return False
    try:
        return ipaddress.ip_address(request.peer).is_loopback
    except ValueError:
        return False


def change_workflow(sim: Simulator, workflow: Workflow, members: dict[str, Any]) -> None:
    """Overwrite members of a workflow; what is no member of ours goes into its listed body as it is."""
    schema = members.get("input_schema", members.get("trigger_input_schema"))
    for name, value in members.items():
        if name in ("input_schema", "trigger_input_schema"):
            continue
        if name == "trigger_http_config":
            workflow.method, workflow.url = value.get("method", "POST"), value.get("url")
        elif name in ("name", "status", "method", "url"):
            setattr(workflow, name, value)
        elif name == "steps":
            workflow.steps = tuple(value)
        elif name == "life_seconds":
            workflow.life_seconds = float(value)
        elif name in ("name_limit", "name_form"):
            sim.set_profile(**{name: value})
        else:
            workflow.extra[name] = value
    if schema is not None:
        if not isinstance(schema, list) or not all(isinstance(item, dict) for item in schema):
            raise ValueError("input_schema is a list of objects.")
        workflow.input_schema = schema
    workflow.modified_at = sim.clock.now()


def change_settings(settings: Settings, members: dict[str, Any]) -> Settings:
    """A copy with these members; TypeError or ValueError on what does not fit."""
    changed = msgspec.convert(msgspec.to_builtins(settings) | members, Settings)
    if unknown := members.keys() - msgspec.to_builtins(settings).keys():
        raise ValueError(f"Unknown settings: {', '.join(sorted(unknown))}.")
    if changed.profile not in PROFILES:
        raise ValueError(f"The profile must be one of {', '.join(PROFILES)}.")
    return changed


def state_of(sim: Simulator, *, counts_only: bool, encoded: bool = False) -> dict[str, Any]:
    """Counts, and unless only those are wanted, every instance of every workflow."""
    world = sim.world
    data = world.instances
    by_status = Counter(data.status)
    answer: dict[str, Any] = {
        "counts": {
            "workflows": len(world.workflows),
            "instances": len(data),
            "by_status": {data.status_name(code): count for code, count in sorted(by_status.items())},
            "by_account": {account_id: len(rows) for account_id, rows in data.by_account.items()},
        },
        "now": sim.clock.now(),
    }
    if counts_only:
        return answer
    answer["workflows"] = [
        {
            "id": workflow.id,
            "name": workflow.name,
            "account_id": workflow.account_id,
            "status": workflow.status,
            "instances": _instances(sim, data.by_workflow.get(workflow.number, array("I")), encoded=encoded),
        }
        for workflow in world.workflows
    ]
    return answer


def _instances(sim: Simulator, rows: array[int], *, encoded: bool) -> Any:
    """The instances of a workflow; as JSON at once for the control call, which would else hold a million dictionaries."""
    data = sim.world.instances
    listed = (
        {
            "id": data.id_of(row),
            "name": data.extra.get(row, {}).get("name") or sim.world.name_of(row),
            "status": data.raw_status(row),
            "started_by": sim.world.starters[data.starter[row]],
            "last_completed_step": data.step[row],
        }
        for row in rows
    )
    if not encoded:
        return list(listed)
    return msgspec.Raw(b"[" + b",".join(map(_ENCODER.encode, listed)) + b"]")


def check_level(level: str) -> None:
    if level not in LEVELS:
        raise ValueError(f"The level must be one of {', '.join(LEVELS)}.")
