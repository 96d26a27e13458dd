"""Grants, access and refresh tokens. Rule: a refresh token used twice ends its whole grant, unless a test switches that off."""

from __future__ import annotations

import base64
import hashlib
import secrets
from dataclasses import dataclass, field

import msgspec

from .people import Person
from .state import World

DAY = 86_400


class GrantError(Exception):
    """An OAuth error of the token endpoint: (error, error_description)."""

    def __init__(self, error: str, description: str) -> None:
        super().__init__(description)
        self.error = error
        self.description = description


@dataclass(slots=True)
class Client:
    """A registered integration. Without redirect URIs any loopback address is taken."""

    id: str
    secret: str
    redirect_uris: tuple[str, ...] = ()
    public_keys: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Grant:
    """What a person allowed a client; refresh tokens hang on it."""

    sub: str
    client_id: str
    scopes: frozenset[str]
    refresh_until: float
    revoked: bool = False
    current: str = ""
    used: set[str] = field(default_factory=set)


@dataclass(slots=True)
class Code:
    sub: str
    client_id: str
    scopes: frozenset[str]
    redirect_uri: str
    challenge: str | None
    expires_at: float
    grant: Grant | None = None


@dataclass(slots=True)
class Access:
    grant: Grant
    expires_at: float
    userinfo_calls: int = 0


def fingerprint(token: str) -> str | None:
    return hashlib.sha256(token.encode()).hexdigest()[:16] if token else None


class Tokens:
    """Everything that was issued."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.clients: dict[str, Client] = {}
        self.codes: dict[str, Code] = {}
        self.access: dict[str, Access] = {}
        self.refresh: dict[str, Grant] = {}
        self.consents: dict[tuple[str, str], frozenset[str]] = {}
        self.sessions: dict[str, str] = {}

    def _long_token(self, claims: dict[str, object]) -> str:
        """Looks like a signed JWT and is longer than 600 characters; it means nothing to anybody but this store."""
        header = {"typ": "MT", "alg": "RS256", "kid": "681ff1f1-005e-4ce1-9ce3-a5ee90d0b4c5"}
        parts = [base64.urlsafe_b64encode(msgspec.json.encode(part)).decode().rstrip("=") for part in (header, claims)]
        return ".".join([*parts, secrets.token_urlsafe(420)])

    def find_client(self, client_id: str | None) -> Client | None:
        return self.clients.get((client_id or "").lower())

    def make_code(
        self, client: Client, person: Person, scopes: frozenset[str], redirect_uri: str, challenge: str | None
    ) -> str:
        now = self.world.clock.now()
        value = self._long_token({"sub": person.sub, "iat": int(now), "nonce": secrets.token_urlsafe(8)})
        expires = now + self.world.settings.code_seconds
        self.codes[value] = Code(person.sub, client.id, scopes, redirect_uri, challenge, expires)
        known = self.consents.get((person.sub, client.id), frozenset())
        self.consents[(person.sub, client.id)] = known | scopes
        return value

    def new_grant(self, sub: str, client_id: str, scopes: frozenset[str]) -> Grant:
        until = self.world.clock.now() + self.world.settings.refresh_days * DAY
        return Grant(sub, client_id, scopes, until)

    def issue_access(self, grant: Grant, expires_in: int | None = None) -> tuple[str, int]:
        lives = self.world.settings.access_seconds if expires_in is None else expires_in
        now = self.world.clock.now()
        token = self._long_token(
            {"sub": grant.sub, "aud": grant.client_id, "exp": int(now + lives), "scp": sorted(grant.scopes)}
        )
        self.access[token] = Access(grant, now + lives)
        return token, lives

    def issue_refresh(self, grant: Grant) -> str:
        """With `extended` each refresh starts a full life; without it the first expiry stays."""
        if grant.current and "extended" in grant.scopes:
            grant.refresh_until = self.world.clock.now() + self.world.settings.refresh_days * DAY
        if grant.current and not self.world.settings.rotation:
            return grant.current
        if grant.current:
            grant.used.add(grant.current)
        grant.current = self._long_token({"sub": grant.sub, "typ": "refresh", "n": secrets.token_urlsafe(8)})
        self.refresh[grant.current] = grant
        return grant.current

    def redeem(self, value: str, client: Client, verifier: str | None, confidential: bool) -> Grant:
        """A code works once; a second use also ends what the first one gave."""
        code = self.codes.get(value)
        if code is None or code.client_id != client.id or code.expires_at < self.world.clock.now():
            raise GrantError("invalid_grant", "expired_client_token")
        if code.grant is not None:
            code.grant.revoked = True
            raise GrantError("invalid_grant", "authorization_code_already_used")
        if code.challenge is not None:
            digest = hashlib.sha256((verifier or "").encode()).digest()
            if base64.urlsafe_b64encode(digest).decode().rstrip("=") != code.challenge:
                raise GrantError("invalid_grant", "code_verifier_mismatch")
        elif not confidential:
            raise GrantError("invalid_client", "client_authentication_required")
        code.grant = self.new_grant(code.sub, client.id, code.scopes)
        return code.grant

    def rotate(self, value: str, client: Client) -> Grant:
        grant = self.refresh.get(value)
        if grant is None or grant.client_id != client.id or grant.revoked:
            raise GrantError("invalid_grant", "invalid_refresh_token")
        if value in grant.used and self.world.settings.reuse_detection:
            grant.revoked = True
            raise GrantError("invalid_grant", "refresh_token_reused")
        if grant.refresh_until < self.world.clock.now():
            raise GrantError("invalid_grant", "expired_refresh_token")
        return grant

    def find(self, token: str) -> Access | None:
        """A live access token, or None."""
        found = self.access.get(token)
        if found is None or found.grant.revoked or found.expires_at <= self.world.clock.now():
            return None
        return found

    def revoke_token(self, value: str) -> None:
        access = self.access.get(value)
        grant = access.grant if access else self.refresh.get(value)
        if grant is not None:
            grant.revoked = True

    def revoke_person(self, sub: str) -> int:
        """End every grant, consent and sign-in session of a person; gives back how many grants ended."""
        grants = {id(grant): grant for grant in self.refresh.values()}
        grants |= {id(access.grant): access.grant for access in self.access.values()}
        live = [grant for grant in grants.values() if grant.sub == sub and not grant.revoked]
        for grant in live:
            grant.revoked = True
        self.consents = {key: value for key, value in self.consents.items() if key[0] != sub}
        self.sessions = {key: value for key, value in self.sessions.items() if value != sub}
        return len(live)
