"""The authorization server's machine side: token, userinfo, revoke. Rule: errors are `{error, error_description}` with 400."""

from __future__ import annotations

import base64
import binascii
from typing import Any
from urllib.parse import unquote, urlsplit

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import RSAKey

from .messages import SimRequest, SimResponse, json_response
from .state import World
from .tokens import Client, Grant, GrantError, Tokens

JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"
KNOWN_AUDIENCES = frozenset({"account-d.docusign.com"})


class TokenEndpoint:
    """/oauth/token, /oauth/userinfo and /oauth/revoke."""

    def __init__(self, world: World, tokens: Tokens) -> None:
        self.world = world
        self.tokens = tokens

    def token(self, request: SimRequest) -> SimResponse:
        try:
            if request.method != "POST":
                raise GrantError("invalid_request", "The method must be POST.")
            kind = request.header("content-type").partition(";")[0].strip().lower()
            if kind != "application/x-www-form-urlencoded":
                raise GrantError("invalid_grant", "unsupported_content_type")
            response = json_response(200, self._grant(request, request.form()))
        except GrantError as error:
            response = json_response(400, {"error": error.error, "error_description": error.description})
        response.headers |= {"Cache-Control": "no-store", "Pragma": "no-cache"}
        return response

    def _grant(self, request: SimRequest, form: dict[str, str]) -> dict[str, Any]:
        kind = form.get("grant_type", "")
        if kind == JWT_BEARER:
            return self._jwt(form.get("assertion", ""))
        client, confidential = self._client(request, form)
        if kind == "authorization_code":
            grant = self.tokens.redeem(form.get("code", ""), client, form.get("code_verifier"), confidential)
        elif kind == "refresh_token":
            grant = self.tokens.rotate(form.get("refresh_token", ""), client)
        else:
            raise GrantError("unsupported_grant_type", "The grant type is not supported.")
        return self._pair(grant)

    def _pair(self, grant: Grant) -> dict[str, Any]:
        access, lives = self.tokens.issue_access(grant)
        return {
            "access_token": access,
            "token_type": "Bearer",
            "refresh_token": self.tokens.issue_refresh(grant),
            "expires_in": lives,
            "scope": " ".join(sorted(grant.scopes)),
        }

    def _client(self, request: SimRequest, form: dict[str, str]) -> tuple[Client, bool]:
        """The calling client, and whether it proved its secret (by Basic or in the body)."""
        client_id, secret = form.get("client_id"), form.get("client_secret")
        kind, _, value = request.header("authorization").partition(" ")
        if kind.lower() == "basic":
            try:
                name, _, word = base64.b64decode(value, validate=True).decode().partition(":")
            except (binascii.Error, UnicodeDecodeError) as error:
                raise GrantError("invalid_grant", "unauthorized_client") from error
            client_id, secret = unquote(name), unquote(word)
        client = self.tokens.find_client(client_id)
        if client is None or (secret is not None and secret != client.secret):
            raise GrantError("invalid_grant", "unauthorized_client")
        return client, secret is not None

    def _jwt(self, assertion: str) -> dict[str, Any]:
        """A service account's token: no refresh token, one hour, and only after the person consented."""
        claims = self._claims(assertion)
        person = self.world.people.get(str(claims.get("sub", "")))
        if person is None:
            raise GrantError("invalid_grant", "user_not_found")
        scopes = frozenset(str(claims.get("scope", "")).split())
        client_id = str(claims["iss"])
        if (
            not scopes <= self.tokens.consents.get((person.sub, client_id), frozenset())
            or "impersonation" not in scopes
        ):
            raise GrantError("consent_required", "The user has not consented to these scopes.")
        access, lives = self.tokens.issue_access(self.tokens.new_grant(person.sub, client_id, scopes), 3600)
        return {"access_token": access, "token_type": "Bearer", "expires_in": lives}

    def _claims(self, assertion: str) -> dict[str, Any]:
        claims = _verified(assertion, list(self._public_keys().values()))
        client = self.tokens.find_client(str(claims.get("iss", "")))
        own = urlsplit(self.world.base_url)
        if client is None or claims.get("aud") not in KNOWN_AUDIENCES | {own.netloc, own.hostname}:
            raise GrantError("invalid_grant", "issuer_not_found")
        if _verified(assertion, client.public_keys) != claims:
            raise GrantError("invalid_grant", "no_valid_keys_or_signatures")
        issued, expires, now = claims.get("iat"), claims.get("exp"), self.world.clock.real()
        if not isinstance(issued, int) or not isinstance(expires, int) or not issued - 300 <= now <= expires:
            raise GrantError("invalid_grant", "expired_or_not_yet_valid_assertion")
        return claims

    def _public_keys(self) -> dict[str, str]:
        return {key: key for client in self.tokens.clients.values() for key in client.public_keys}

    def userinfo(self, request: SimRequest) -> SimResponse:
        access = self.tokens.find(request.bearer())
        if access is None:
            body = {"error": "invalid_token", "error_description": "The access token is missing or no longer valid."}
            return json_response(401, body)
        access.userinfo_calls += 1
        if access.userinfo_calls > self.world.settings.userinfo_limit:
            text = "The maximum number of hourly userinfo calls has been exceeded."
            return json_response(429, {"errorCode": "HOURLY_APIINVOCATION_LIMIT_EXCEEDED", "message": text})
        person = self.world.people[access.grant.sub]
        given, _, family = person.name.partition(" ")
        accounts = []
        for position, account_id in enumerate(person.account_ids):
            account = self.world.accounts[account_id]
            item: dict[str, Any] = {
                "account_id": account.id,
                "is_default": position == 0,
                "account_name": account.name,
                "base_uri": "https://demo.docusign.net",
            }
            if account.organization_id:
                link = f"https://account-d.docusign.com/organizations/{account.organization_id}"
                item["organization"] = {
                    "organization_id": account.organization_id,
                    "links": [{"rel": "self", "href": link}],
                }
            accounts.append(item)
        body_: dict[str, Any] = {
            "sub": person.sub,
            "name": person.name,
            "given_name": given,
            "family_name": family,
            "created": "2015-08-13T22:03:03.45",
            "email": person.email,
            "accounts": accounts,
        }
        return json_response(200, body_)

    def revoke(self, request: SimRequest) -> SimResponse:
        form = request.form()
        try:
            self._client(request, form)
        except GrantError as error:
            return json_response(400, {"error": error.error, "error_description": error.description})
        self.tokens.revoke_token(form.get("token", ""))
        return SimResponse(200, {"Content-Type": "application/json"}, b"{}")


def _verified(assertion: str, public_keys: list[str]) -> dict[str, Any]:
    for pem in public_keys:
        try:
            return dict(jwt.decode(assertion, RSAKey.import_key(pem), algorithms=["RS256"]).claims)
        except (JoseError, ValueError):
            continue
    raise GrantError("invalid_grant", "no_valid_keys_or_signatures")


def new_key(client: Client) -> str:
    """A fresh RSA pair registered with the client; the private half is given back as PEM."""
    key = RSAKey.generate_key(2048)
    client.public_keys.append(key.as_pem(private=False).decode())
    return key.as_pem(private=True).decode()
