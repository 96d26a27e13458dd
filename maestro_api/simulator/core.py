"""The simulator itself, free of sockets. Rule: `handle` answers any request, and notes it in the ledger."""

from __future__ import annotations

from typing import Any

from .api import Api
from .clock import Clock, iso
from .connect import Connect
from .control import PREFIX, Control, change_settings, change_workflow, check_level, state_of
from .evil import EvilListener
from .execution import execution
from .faults import Effect, Faults
from .ledger import Ledger
from .limits import Limits
from .messages import SimRequest, SimResponse, compress, text_response
from .movement import Movement
from .oauth import SignIn
from .people import DEMO_CLIENT_ID, DEMO_CLIENT_SECRET, MAIN_ACCOUNT_ID, seeded_people
from .profiles import PROFILES, ApiError, error_response
from .seed import add_data, seed_world
from .state import World
from .token_endpoint import TokenEndpoint
from .tokens import Client, Tokens

EVERY_SCOPE = frozenset({"signature", "aow_manage", "extended"})


class Simulator:
    """A local Docusign. Every public method is a Python twin of a control call; all are safe to call from any thread."""

    def __init__(
        self,
        people: list[str] | None = None,
        profile: str = "spec107",
        seed: int = 1,
        workflows: int = 12,
        instances: int = 400,
        account_list: bool = True,
        latency_ms: float = 0,
        base_url: str = "http://127.0.0.1:9000",
        born_at: float | None = None,
    ) -> None:
        """`born_at`: as of when its data is made, in seconds since 1970; now, unless said."""
        if profile not in PROFILES:
            raise ValueError(f"The profile must be one of {', '.join(PROFILES)}.")
        self.world = World(seed=seed, people=seeded_people(people), base_url=base_url)
        self.world.settings.profile = profile
        self.world.settings.account_list = account_list
        self.world.settings.latency_ms = latency_ms
        self.connect = Connect(self.world)
        self.evil: EvilListener | None = None
        self.movement = Movement(self.world, self.connect.notice)
        with self.clock.held_at(born_at):
            seed_world(self.world, self.movement, workflows=workflows, instances=instances)
        self.tokens = Tokens(self.world)
        self.tokens.clients[DEMO_CLIENT_ID] = Client(DEMO_CLIENT_ID, DEMO_CLIENT_SECRET)
        self.limits = Limits(self.world.clock)
        self.faults = Faults(seed)
        self._ledger = Ledger()
        self._list_lag = 0.0
        self._control = Control(self)
        self._api = Api(self.world, self.movement, lambda: self._list_lag)
        self._sign_in = SignIn(self.world, self.tokens)
        self._token_endpoint = TokenEndpoint(self.world, self.tokens)

    @property
    def base_url(self) -> str:
        return self.world.base_url

    @base_url.setter
    def base_url(self, url: str) -> None:
        self.world.base_url = url.rstrip("/")

    @property
    def clock(self) -> Clock:
        return self.world.clock

    def handle(self, request: SimRequest) -> SimResponse:
        """Answer one request."""
        if request.route.startswith(PREFIX + "/"):
            return self._control.answer(request)
        with self.world.lock:
            entry = self._ledger.open(request, iso(self.clock.now()))
            effect = self.faults.effect(request)
            entry["fault"] = "; ".join(effect.names) or None
            self.movement.settle()
            response = self._respond(request, effect)
            entry["status"] = None if response.reset in ("before", "after") else response.status
        response.settle()
        if effect.do:
            self.faults.bend(response, effect.do)
            response.fault = entry["fault"]
        compress(request, response)
        return response

    def _respond(self, request: SimRequest, effect: Effect) -> SimResponse:
        reset = effect.do.get("reset")
        if reset == "before":
            return SimResponse(0, reset=reset)
        replaced = self.faults.replacement(effect.do)
        if replaced is not None and not effect.do.get("commit") and reset != "after":
            response = replaced
        else:
            self._list_lag = float(effect.do.get("list_lag_seconds", 0))
            # A caller that comes back with the repeated page token gets the same page, not a refusal of the token.
            response = self._dispatch(request.without("ctoken") if effect.do.get("repeat_ctoken") else request)
            self._list_lag = 0.0
            response = replaced or response
        if replaced is not None and not response.body and response.status >= 400 and "body" not in effect.do:
            error = ApiError(response.status, "An unexpected error occurred while processing the request.")
            response = error_response(self.world, request.route, error)
        response.reset = reset
        return response

    def _dispatch(self, request: SimRequest) -> SimResponse:
        path = request.route
        if path.startswith("/v1/"):
            return self._answer_api(request)
        if path.startswith("/oauth/"):
            return self._answer_oauth(request, path)
        if path.startswith("/api/maestro/"):
            return execution(self.world, self.movement, request)
        return text_response(404, "Not Found")

    def _answer_api(self, request: SimRequest) -> SimResponse:
        access = self.tokens.find(request.bearer())
        person = self.world.people.get(access.grant.sub) if access else None
        account_id = self._api.account_id(request)
        counted = account_id if account_id in self.world.accounts and person is not None else None
        refused = self.limits.check(counted) if counted else None
        scopes = access.grant.scopes if access else frozenset()
        response = refused or self._api.answer(request, person, scopes)
        if counted:
            self.limits.add_headers(counted, response)
        response.latency_ms = self.world.settings.latency_ms
        return response

    def _answer_oauth(self, request: SimRequest, path: str) -> SimResponse:
        match path:
            case "/oauth/auth":
                return self._sign_in.auth(request)
            case "/oauth/token":
                return self._token_endpoint.token(request)
            case "/oauth/userinfo":
                return self._token_endpoint.userinfo(request)
            case "/oauth/logout":
                return self._sign_in.logout(request)
            case "/oauth/revoke":
                return self._token_endpoint.revoke(request)
        return text_response(404, "Not Found")

    def token(
        self,
        person: str,
        expires_in: int | None = None,
        scopes: frozenset[str] = EVERY_SCOPE,
        client_id: str = DEMO_CLIENT_ID,
    ) -> dict[str, Any]:
        """A token pair without a browser; KeyError when nobody has that name."""
        with self.world.lock:
            found = self.world.person(person)
            if found is None:
                raise KeyError(person)
            grant = self.tokens.new_grant(found.sub, client_id, scopes)
            access, lives = self.tokens.issue_access(grant, expires_in)
            return {
                "access_token": access,
                "refresh_token": self.tokens.issue_refresh(grant),
                "expires_in": lives,
                "account_id": found.account_ids[0],
                "user_id": found.sub,
            }

    def ledger(self, since: int = 0) -> list[dict[str, Any]]:
        with self.world.lock:
            return self._ledger.since(since)

    def clear_ledger(self) -> None:
        with self.world.lock:
            self._ledger.clear()

    def set_faults(self, rules: list[dict[str, Any]]) -> None:
        """Put these faults in place of all others."""
        with self.world.lock:
            self.faults.replace(rules)

    def add_data(self, workflows: int = 0, instances: int = 0, account_id: str = MAIN_ACCOUNT_ID) -> None:
        with self.world.lock:
            add_data(self.world, self.movement, account_id, workflows=workflows, instances=instances)

    def state(self, *, counts_only: bool = False, encoded: bool = False) -> dict[str, Any]:
        with self.world.lock:
            self.movement.settle()
            return state_of(self, counts_only=counts_only, encoded=encoded)

    def tick(self) -> None:
        """Let everything happen that is due, and send the events it caused."""
        with self.world.lock:
            self.movement.settle()
        self.connect.pump()

    def set_workflow(self, workflow_id: str, /, **members: Any) -> None:
        with self.world.lock:
            workflow = self.world.workflow(workflow_id)
            if workflow is None:
                raise KeyError(workflow_id)
            change_workflow(self, workflow, members)

    def set_instance(self, instance_id: str, /, **members: Any) -> None:
        with self.world.lock:
            row = self.world.instances.row_of(instance_id)
            if row is None:
                raise KeyError(instance_id)
            self.movement.settle()
            self.movement.overwrite(row, members)

    def set_level(self, person: str, level: str, account_id: str | None = None) -> None:
        """Change a permission level, in one account or in all."""
        check_level(level)
        with self.world.lock:
            found = self.world.person(person)
            if found is None:
                raise KeyError(person)
            if account_id:
                found.level_in[account_id] = level
            else:
                found.level, found.level_in = level, {}

    def revoke(self, person: str) -> int:
        """End all that a person granted; gives back how many grants ended."""
        with self.world.lock:
            found = self.world.person(person)
            if found is None:
                raise KeyError(person)
            return self.tokens.revoke_person(found.sub)

    def set_profile(self, profile: str | None = None, **members: Any) -> None:
        with self.world.lock:
            if profile is not None:
                members["profile"] = profile
            self.world.settings = change_settings(self.world.settings, members)

    def set_limits(self, **members: Any) -> None:
        with self.world.lock:
            self.limits.configure(members)
