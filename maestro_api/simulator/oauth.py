"""The authorization server's browser side: consent page, silent sign-in, logout. Rule: a bad client is never redirected to."""

from __future__ import annotations

import secrets
from html import escape
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from .messages import SimRequest, SimResponse
from .pages import hidden, page, redirect
from .people import Person
from .state import World
from .tokens import Client, Tokens

COOKIE = "docusign_simulator"
LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1", "testserver"})


class SignIn:
    """/oauth/auth and /oauth/logout."""

    def __init__(self, world: World, tokens: Tokens) -> None:
        self.world = world
        self.tokens = tokens

    def auth(self, request: SimRequest) -> SimResponse:
        query = {name: values[0] for name, values in request.params().items()}
        form = request.form() if request.method == "POST" else {}
        asked = {name: value for name, value in (query | form).items() if name not in ("person", "refuse")}
        client = self.tokens.find_client(asked.get("client_id"))
        fault = self._fault(client, asked)
        if fault or client is None:
            return page(400, "The request cannot be completed", f"<p>{escape(fault or '')}</p>")
        if request.method == "POST" and "refuse" in form:
            return self._send_back(
                asked, {"error": "access_denied", "error_description": "The user did not give consent."}
            )
        session = self.session_of(request)
        if request.method == "POST" and "person" in form:
            person = self.world.people.get(form["person"])
            if person is None:
                return page(400, "The request cannot be completed", "<p>That person is not known.</p>")
            return self._signed_in(client, asked, person, new_session=True)
        person = self.world.people.get(self.tokens.sessions.get(session, ""))
        if person is not None and asked.get("prompt") != "login":
            return self._signed_in(client, asked, person, new_session=False)
        return self._form(asked)

    def _fault(self, client: Client | None, asked: dict[str, str]) -> str:
        if client is None:
            return "The client id is not registered with this server."
        if not is_registered(client, asked.get("redirect_uri", "")):
            return "The redirect URI is not registered with this client."
        if asked.get("response_type") != "code":
            return "The response type is not supported."
        if asked.get("code_challenge") and asked.get("code_challenge_method", "plain") != "S256":
            return "The code challenge method is not supported."
        if not asked.get("scope", "").split():
            return "The scope is missing."
        return ""

    def session_of(self, request: SimRequest) -> str:
        try:
            cookie = SimpleCookie(request.header("cookie")).get(COOKIE)
        except CookieError:
            return ""
        return cookie.value if cookie else ""

    def _form(self, asked: dict[str, str]) -> SimResponse:
        people = "".join(
            f'<li><button type="submit" name="person" value="{escape(person.sub)}">{escape(person.name)}</button>'
            f"<small>{escape(self._about(person))}</small></li>"
            for person in self.world.people.values()
        )
        content = (
            '<form method="post" action="/oauth/auth">'
            f"{hidden(asked)}<p>Choose who signs in. The application asks for: {escape(asked.get('scope', ''))}.</p>"
            f'<ul>{people}</ul><button type="submit" name="refuse" value="1">Refuse</button></form>'
        )
        return page(200, "Sign in to the Docusign simulator", content)

    def _about(self, person: Person) -> str:
        where = ", ".join(self.world.accounts[account_id].name for account_id in person.account_ids)
        return f"{person.email} · {where} · {person.level}"

    def _signed_in(self, client: Client, asked: dict[str, str], person: Person, *, new_session: bool) -> SimResponse:
        scopes = frozenset(asked["scope"].split())
        challenge = asked.get("code_challenge") or None
        code = self.tokens.make_code(client, person, scopes, asked["redirect_uri"], challenge)
        response = self._send_back(asked, {"code": code})
        if new_session:
            session = secrets.token_urlsafe(24)
            self.tokens.sessions[session] = person.sub
            response.headers["Set-Cookie"] = f"{COOKIE}={session}; Path=/oauth; HttpOnly; SameSite=Lax"
        return response

    def _send_back(self, asked: dict[str, str], answer: dict[str, str]) -> SimResponse:
        if "state" in asked:
            answer["state"] = asked["state"]
        parts = urlsplit(asked["redirect_uri"])
        query = urlencode(parse_qsl(parts.query, keep_blank_values=True) + list(answer.items()))
        return redirect(urlunsplit(parts._replace(query=query)))

    def logout(self, request: SimRequest) -> SimResponse:
        self.tokens.sessions.pop(self.session_of(request), None)
        response = page(200, "Signed out", "<p>The session at the simulator has ended.</p>")
        response.headers["Set-Cookie"] = f"{COOKIE}=; Path=/oauth; Max-Age=0; HttpOnly; SameSite=Lax"
        return response


def is_registered(client: Client, uri: str) -> bool:
    """An exact match with a registered address, or, when none is registered, any loopback address."""
    if client.redirect_uris:
        return uri in client.redirect_uris
    try:
        parts = urlsplit(uri)
        host = parts.hostname
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and host in LOOPBACK and not parts.fragment and not parts.username
