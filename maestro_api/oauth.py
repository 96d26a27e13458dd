"""OAuth with Docusign: sign-in address with PKCE, tokens, who a token belongs to, revoke.

The one rule: only the environment's own OAuth host is used; a code or refresh token is sent once; `openid` is never
requested, so there is no ID token to be believed.
"""

from __future__ import annotations

import base64
import secrets
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import quote, urlencode, urlsplit

from authlib.oauth2.rfc7636 import create_s256_code_challenge
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import RSAKey

from maestro_api import errors
from maestro_api.environments import Environment
from maestro_api.errors import Facts
from maestro_api.problems import error_members
from maestro_api.resources import TokenGrant, UserAccount, UserInfo
from maestro_api.rows import normal_id
from maestro_api.transport import DEADLINE, Answer, Call, Session, Transport

IMPERSONATION: Final = "impersonation"
ASSERTION_LIFE: Final = 3600
EXPIRY_MARGIN: Final = 300.0
DEFAULT_LIFE: Final = 3600
_LONGEST_LIFE: Final = 366 * 86_400
_JWT_GRANT: Final = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_REFUSED_GRANTS: Final = frozenset({"invalid_grant", "expired_token"})


@dataclass(frozen=True, slots=True)
class AuthorizationRequest:
    """Where to send the browser. Keep `state` and `verifier` in its session; both are good for one attempt."""

    url: str = field(repr=False)
    state: str = field(repr=False)
    verifier: str = field(repr=False)


class OAuthClient:
    """The confidential authorization-code client of one integration key. Safe to share between threads."""

    def __init__(
        self,
        environment: Environment,
        client_id: str,
        client_secret: str,
        redirect_uri: str,
        session: Session | None = None,
        *,
        transport: Transport | None = None,
        deadline: float = DEADLINE,
    ) -> None:
        self.environment = environment
        self.client_id = client_id
        self.redirect_uri = redirect_uri
        self._secret = client_secret
        self._deadline = deadline
        self._transport = transport or Transport(environment, session=session)

    def __repr__(self) -> str:
        return f"OAuthClient(environment={self.environment.name!r}, client_id={self.client_id!r})"

    def authorization(
        self, *, scopes: Sequence[str] | None = None, prompt: str | None = None, ui_locales: str | None = None
    ) -> AuthorizationRequest:
        """A new sign-in: fresh state (256 bits) and PKCE S256 verifier. `prompt="login"` asks for the password again.

        Source: developers.docusign.com/platform/auth/reference/obtain-consent. Spaces in the scope are sent as %20,
        because a plus sign ends in an endless consent loop.
        """
        state, verifier = secrets.token_urlsafe(32), secrets.token_urlsafe(48)
        query = {
            "response_type": "code",
            "scope": scope_text(self.environment.scopes if scopes is None else scopes),
            "client_id": self.client_id,
            "redirect_uri": self.redirect_uri,
            "state": state,
            "code_challenge": str(create_s256_code_challenge(verifier)),
            "code_challenge_method": "S256",
        }
        if prompt:
            query["prompt"] = prompt
        if ui_locales:
            query["ui_locales"] = ui_locales
        return AuthorizationRequest(_with_query(self.environment, query), state, verifier)

    def consent_url(self, scopes: Sequence[str] | None = None) -> str:
        """Where a person consents for JWT; the code that comes back can be ignored."""
        wanted = (*self.environment.scopes, IMPERSONATION) if scopes is None else scopes
        return consent_address(self.environment, self.client_id, self.redirect_uri, wanted)

    def exchange_code(self, code: str, verifier: str) -> TokenGrant:
        """Tokens for a code, which works once. Raises InvalidGrant, OAuthError, or a transport error."""
        form = {"grant_type": "authorization_code", "code": code, "code_verifier": verifier}
        form["redirect_uri"] = self.redirect_uri
        return self._grant("exchange_code", form)

    def refresh(self, refresh_token: str) -> TokenGrant:
        """A new pair; store both at once, since the old refresh token may be dead now. Never repeated by itself."""
        return self._grant("refresh_token", {"grant_type": "refresh_token", "refresh_token": refresh_token})

    def revoke(self, token: str) -> bool:
        """Best effort: whether Docusign confirmed. Never raises (the endpoint is not officially described)."""
        try:
            self._post("revoke_token", "/oauth/revoke", {"token": token})
        except errors.MaestroError:
            return False
        return True

    def userinfo(self, access_token: str) -> UserInfo:
        """Who the token belongs to, and the accounts. Cache it: Docusign limits these calls."""
        call = Call(
            operation="userinfo",
            method="GET",
            url=self.environment.oauth_url + "/oauth/userinfo",
            path="/oauth/userinfo",
            writes=False,
            authorization=f"Bearer {access_token}" if access_token else "",
            deadline=self._deadline,
        )
        if not access_token:
            raise errors.InvalidRequest("there is no access token", operation=call.operation)
        return userinfo_of(self._transport.request(call))

    def _grant(self, operation: str, form: Mapping[str, str]) -> TokenGrant:
        answer = self._post(operation, "/oauth/token", form)
        return grant_of(answer, operation)

    def _post(self, operation: str, path: str, form: Mapping[str, str]) -> Answer:
        pair = f"{self.client_id}:{self._secret}".encode()
        basic = "Basic " + base64.b64encode(pair).decode()
        return post_form(self._transport, operation, path, form, authorization=basic, deadline=self._deadline)


class JwtGrant:
    """Tokens for a service user by JWT, cached until five minutes before they expire; one request at a time.

    Raises ConsentRequired with the address where the user consents. Source: developers.docusign.com/platform/auth/jwt.
    """

    def __init__(
        self,
        environment: Environment,
        client_id: str,
        user_id: str,
        private_key_pem: str | bytes,
        scopes: Sequence[str] | None = None,
        *,
        redirect_uri: str = "",
        session: Session | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        try:
            self._key = RSAKey.import_key(private_key_pem)
        except (ValueError, TypeError, JoseError):
            raise errors.InvalidRequest(
                "the private key is not an RSA key in PEM form", operation="jwt_grant"
            ) from None
        self.environment = environment
        self.client_id = client_id
        self.user_id = user_id
        self.redirect_uri = redirect_uri
        self._scopes = (*environment.scopes, IMPERSONATION) if scopes is None else tuple(scopes)
        self._transport = Transport(environment, session=session)
        self._clock = clock
        self._lock = threading.Lock()
        self._cached: TokenGrant | None = None
        self._good_until = 0.0

    def __repr__(self) -> str:
        return f"JwtGrant(environment={self.environment.name!r}, user_id={self.user_id!r})"

    def token(self) -> str:
        """A token with at least some minutes of life; fits as the `token` of MaestroClient."""
        with self._lock:
            if self._cached is None or self._clock() >= self._good_until:
                self._renew()
            return "" if self._cached is None else self._cached.access_token

    def refresh(self, dead_token: str) -> str:
        """Forget `dead_token` if it is the cached one; fits as the `refresh` of MaestroClient."""
        with self._lock:
            if self._cached is not None and self._cached.access_token == dead_token:
                self._cached = None
        return self.token()

    def _renew(self) -> None:
        now = self._clock()
        claims = {
            "iss": self.client_id,
            "sub": self.user_id,
            "aud": urlsplit(self.environment.oauth_url).netloc,
            "iat": int(now),
            "exp": int(now) + ASSERTION_LIFE,
            "scope": " ".join(self._scopes),
        }
        assertion = jwt.encode({"alg": "RS256", "typ": "JWT"}, claims, self._key)
        form = {"grant_type": _JWT_GRANT, "assertion": assertion}
        consent = consent_address(self.environment, self.client_id, self.redirect_uri, self._scopes)
        answer = post_form(self._transport, "jwt_grant", "/oauth/token", form, consent_url=consent)
        grant = grant_of(answer, "jwt_grant")
        self._cached = grant
        self._good_until = now + max(grant.expires_in - EXPIRY_MARGIN, grant.expires_in / 2)


def scope_text(scopes: Sequence[str]) -> str:
    """Scopes as one text. `openid` is refused: nobody here checks an ID token."""
    if "openid" in scopes:
        raise errors.InvalidRequest("openid is not requested", operation="authorization")
    return " ".join(dict.fromkeys(scopes))


def consent_address(environment: Environment, client_id: str, redirect_uri: str, scopes: Sequence[str]) -> str:
    query = {"response_type": "code", "scope": scope_text(scopes), "client_id": client_id, "redirect_uri": redirect_uri}
    return _with_query(environment, query)


def post_form(
    transport: Transport,
    operation: str,
    path: str,
    form: Mapping[str, str],
    *,
    authorization: str = "",
    deadline: float = DEADLINE,
    consent_url: str = "",
) -> Answer:
    """POST a form to the OAuth host; its refusals become OAuth errors."""
    call = Call(
        operation=operation,
        method="POST",
        url=transport.environment.oauth_url + path,
        path=path,
        writes=True,
        authorization=authorization,
        body=urlencode(form).encode(),
        content_type="application/x-www-form-urlencoded",
        deadline=deadline,
    )
    try:
        return transport.request(call)
    except (errors.BadRequest, errors.Unauthorized, errors.Forbidden) as error:
        refused = error
    raise _refusal(refused, operation, consent_url)


def _refusal(refused: errors.ResponseError, operation: str, consent_url: str) -> errors.OAuthError:
    facts = refused.facts
    code = (facts.code or "").lower()
    if code == "consent_required":
        return errors.ConsentRequired(operation=operation, facts=facts, consent_url=consent_url)
    kind = errors.InvalidGrant if code in _REFUSED_GRANTS else errors.OAuthError
    return kind(operation=operation, facts=facts)


def grant_of(answer: Answer, operation: str) -> TokenGrant:
    """Read a token answer; one without an access token is unusable and nothing of it may be stored."""
    members = error_members(answer.body)
    access = members.get("access_token")
    refresh = members.get("refresh_token")
    if not isinstance(access, str) or not access:
        raise _unreadable(answer, operation, writes=True)
    scope = members.get("scope")
    return TokenGrant(
        access_token=access,
        refresh_token=refresh if isinstance(refresh, str) and refresh else None,
        expires_in=_life(members.get("expires_in")),
        scope=scope if isinstance(scope, str) and scope else None,
    )


def userinfo_of(answer: Answer) -> UserInfo:
    """Read a userinfo answer; `sub` is needed, an account without an id is left out."""
    members = error_members(answer.body)
    sub = members.get("sub")
    if not isinstance(sub, str) or not sub:
        raise _unreadable(answer, "userinfo", writes=False)
    listed = members.get("accounts")
    accounts = (_account(each) for each in (listed if isinstance(listed, list) else []))
    return UserInfo(
        sub=normal_id(sub) or sub,
        name=_text(members.get("name")) or "",
        email=_text(members.get("email")) or "",
        accounts=tuple(account for account in accounts if account is not None),
    )


def _account(row: Any) -> UserAccount | None:
    if not isinstance(row, dict):
        return None
    account_id = normal_id(_text(row.get("account_id")))
    if account_id is None:
        return None
    organization = row.get("organization")
    default = row.get("is_default")
    return UserAccount(
        id=account_id,
        name=_text(row.get("account_name")) or "",
        is_default=default is True or (isinstance(default, str) and default.strip().lower() == "true"),
        base_uri=_text(row.get("base_uri")),
        organization_id=normal_id(_text(organization.get("organization_id")))
        if isinstance(organization, dict)
        else None,
    )


def _life(value: object) -> int:
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 12:
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value <= _LONGEST_LIFE:
        return DEFAULT_LIFE
    return int(value)


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _unreadable(answer: Answer, operation: str, *, writes: bool) -> errors.UnreadableResponse:
    response = answer.response
    facts = Facts(response.status, response.request_id, response.attempts, may_have_happened=writes)
    return errors.UnreadableResponse("the answer lacks what was asked for", operation=operation, facts=facts)


def _with_query(environment: Environment, query: Mapping[str, str]) -> str:
    return f"{environment.oauth_url}/oauth/auth?{urlencode(query, quote_via=quote)}"
