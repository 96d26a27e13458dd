"""Talks to a Simulator in plain words, without sockets and without our client."""

import json
from base64 import b64encode
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from maestro_api.simulator import (
    DEMO_CLIENT_ID,
    DEMO_CLIENT_SECRET,
    MAIN_ACCOUNT_ID,
    SimRequest,
    SimResponse,
    Simulator,
)

REDIRECT = "http://127.0.0.1:8000/auth/callback/"
NDA = {
    "Supplier name": "Kestrel Logistics",
    "Contact name": "Mei Chen",
    "Contact email": "mei.chen@example.com",
    "Effective date": "2026-03-02",
}


class Caller:
    """One person calling the API of one account."""

    def __init__(self, sim: Simulator, person: str = "Ada Admin", account_id: str = MAIN_ACCOUNT_ID) -> None:
        self.sim = sim
        self.token = sim.token(person)
        self.base = f"/v1/accounts/{account_id}"

    def send(self, method: str, path: str, body: Any = None, **headers: str) -> SimResponse:
        given = {"Authorization": f"Bearer {self.token['access_token']}"} | {
            name.replace("_", "-"): value for name, value in headers.items()
        }
        raw = b""
        if body is not None:
            raw, given = json.dumps(body).encode(), {"Content-Type": "application/json"} | given
        return self.sim.handle(SimRequest(method, self.base + path, given, raw))

    def get(self, path: str) -> Any:
        return json_of(self.send("GET", path))

    def workflows(self) -> list[dict[str, Any]]:
        return self.get("/workflows")["data"]

    def workflow_id(self, name: str = "Supplier NDA") -> str:
        return next(item["id"] for item in self.workflows() if item["name"] == name)

    def trigger(
        self, name: str = "An instance", inputs: dict[str, Any] | None = None, workflow_id: str = ""
    ) -> SimResponse:
        body = {"instance_name": name, "trigger_inputs": NDA if inputs is None else inputs}
        return self.send("POST", f"/workflows/{workflow_id or self.workflow_id()}/actions/trigger", body)

    def started(self, name: str = "An instance") -> str:
        response = self.trigger(name)
        assert response.status == 201, response.body
        return json_of(response)["instance_id"]

    def path_of(self, instance_id: str) -> str:
        return f"/workflows/{self.workflow_id()}/instances/{instance_id}"

    def status_of(self, instance_id: str) -> str:
        return self.get(self.path_of(instance_id))["workflow_status"]


def json_of(response: SimResponse) -> Any:
    return json.loads(response.body)


def control(sim: Simulator, method: str, path: str, body: Any = None, **kwargs: Any) -> Any:
    raw = b"" if body is None else json.dumps(body).encode()
    response = sim.handle(SimRequest(method, "/_control" + path, {"Content-Type": "application/json"}, raw, **kwargs))
    assert response.status == 200, response.body
    return json_of(response)


def authorize(sim: Simulator, *, press: str | None = None, cookie: str = "", **params: str) -> SimResponse:
    """Open the sign-in page, or press one of its buttons."""
    asked = {
        "response_type": "code",
        "scope": "signature aow_manage",
        "client_id": DEMO_CLIENT_ID,
        "redirect_uri": REDIRECT,
        "state": "the state",
    } | params
    headers = {"Cookie": cookie, "Content-Type": "application/x-www-form-urlencoded"}
    if press is None:
        return sim.handle(SimRequest("GET", "/oauth/auth?" + urlencode(asked), headers))
    button = {"refuse": "1"} if press == "Refuse" else {"person": sub_of(sim, press)}
    return sim.handle(SimRequest("POST", "/oauth/auth", headers, urlencode(asked | button).encode()))


def sub_of(sim: Simulator, name: str) -> str:
    person = sim.world.person(name)
    assert person is not None
    return person.sub


def answer_of(response: SimResponse) -> dict[str, str]:
    """The query with which the browser is sent back."""
    assert response.status == 302, response.body
    return {name: values[0] for name, values in parse_qs(urlsplit(response.headers["Location"]).query).items()}


def code_for(sim: Simulator, person: str = "Ada Admin", **params: str) -> str:
    return answer_of(authorize(sim, press=person, **params))["code"]


def token_call(sim: Simulator, *, basic: bool = True, content_type: str = "", **fields: str) -> SimResponse:
    headers = {"Content-Type": content_type or "application/x-www-form-urlencoded"}
    if basic:
        pair = f"{DEMO_CLIENT_ID}:{DEMO_CLIENT_SECRET}"
        headers["Authorization"] = "Basic " + b64encode(pair.encode()).decode()
    return sim.handle(SimRequest("POST", "/oauth/token", headers, urlencode(fields).encode()))


def redeem(sim: Simulator, code: str, **fields: str) -> SimResponse:
    return token_call(sim, grant_type="authorization_code", code=code, **fields)


def refresh(sim: Simulator, token: str) -> SimResponse:
    return token_call(sim, grant_type="refresh_token", refresh_token=token)
