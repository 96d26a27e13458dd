"""Sign-in with Docusign, the only door: from the button to a person with memberships.

The one rule: somebody who belongs to no account of this console leaves nothing behind but an audit entry without a name.
"""

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Any, TypedDict

from django.conf import settings
from django.db import transaction

from dashboard import crypto
from dashboard.facts import current_facts, set_facts
from dashboard.models import Account, AuditEntry, Connection, Membership, User
from dashboard.services import accounts, audit, limits, setup, team_access, tokens
from dashboard.services.accounts import NamedAccount
from dashboard.services.authorization_server import environment, oauth_client
from dashboard.services.errors import DocusignUnavailable, SignInRefused
from maestro_api import MaestroError, OAuthError, ResponseError, TokenGrant, UserInfo

PENDING_SECONDS = 600
MAX_PENDING = 10
# A person who changes their mind at Docusign, or comes back late, tries nothing.
HARMLESS = frozenset({"docusign", "state_old"})
NOT_STARTED = "This answer does not belong to a sign-in that was started in this browser."
REFUSAL_NAMES = ("error", "error_description", "error_code", "error_message")


class StateRefused(SignInRefused):
    """The answer does not belong to a sign-in that this browser started a moment ago (O-3, O-4)."""


class Stranger(SignInRefused):
    """This person may not come in, so the browser's session is emptied as well."""


class PendingSignIn(TypedDict):
    """A sign-in that is under way, kept in the browser's session under its state."""

    verifier: str
    environment: str
    created_at: float
    next: str
    setup: str


@dataclass(frozen=True, slots=True)
class SignedIn:
    """Who came in, and where to start."""

    user: User
    membership: Membership


def start_sign_in(*, next_path: str, prompt: str = "", setup_code: str = "") -> tuple[str, PendingSignIn, str]:
    """A new attempt: its state, what the session keeps of it, and where to send the browser."""
    wanted = setup.digest(setup_code)
    if wanted and not setup.is_open(wanted):
        _record_refusal("setup_code")
        raise SignInRefused(
            "This setup code is not valid. Use the newest one that the console printed when it started."
        )
    asked = oauth_client().authorization(scopes=settings.DOCUSIGN_SCOPES, prompt=prompt or None)
    pending = PendingSignIn(
        verifier=crypto.seal(asked.verifier, "sign-in", asked.state),
        environment=settings.DOCUSIGN_ENVIRONMENT,
        created_at=time.time(),
        next=next_path,
        setup=wanted,
    )
    return asked.state, pending, asked.url


def remember(pendings: Mapping[str, PendingSignIn], state: str, pending: PendingSignIn) -> dict[str, PendingSignIn]:
    """The attempts of a browser with the new one; old ones and those beyond ten are dropped."""
    living = {key: each for key, each in pendings.items() if _age(each) <= PENDING_SECONDS}
    newest = sorted(living.items(), key=lambda item: item[1]["created_at"])[-(MAX_PENDING - 1) :]
    return {**dict(newest), state: pending}


def attempts_of(session: Mapping[str, Any], *, is_signed_in: bool) -> dict[str, PendingSignIn] | None:
    """The attempts of a browser; None where none was ever started: any page can send such a browser to the callback."""
    found: dict[str, PendingSignIn] | None = session.get("sign_in", {} if is_signed_in else None)
    return found


def take(pendings: dict[str, PendingSignIn] | None, state: str) -> PendingSignIn:
    """The attempt that this state names, which is used up by this. Raises StateRefused (O-3, O-4).

    Where none was ever started nothing is written down, and where none is under way nothing counts as a failed one (S-16).
    """
    if pendings is None:
        raise StateRefused(f"{NOT_STARTED} Nothing was sent to Docusign. Start again.")
    is_under_way = bool(pendings)
    pending = pendings.pop(state, None)
    if pending is None:
        why, sentence = "state", NOT_STARTED
    elif _age(pending) > PENDING_SECONDS:
        why, sentence = "state_old", "This sign-in was started more than ten minutes ago."
    elif pending["environment"] != settings.DOCUSIGN_ENVIRONMENT:
        why, sentence = "environment", "This sign-in was started for another Docusign environment."
    else:
        return pending
    _record_refusal(why, counts=is_under_way)
    raise StateRefused(f"{sentence} Nothing was sent to Docusign. Start again.")


def finish_sign_in(pending: PendingSignIn, *, state: str, params: Mapping[str, str]) -> SignedIn:
    """Turn Docusign's answer into a person. Raises SignInRefused, DocusignUnavailable."""
    _check_answer(params)
    client = oauth_client()
    try:
        verifier = crypto.unseal(pending["verifier"], "sign-in", state)
        grant = client.exchange_code(params["code"], verifier)
        info = client.userinfo(grant.access_token)
    except crypto.SealBroken as error:
        raise StateRefused("This sign-in cannot be continued. Start again.") from error
    except (OAuthError, ResponseError) as error:
        if error.status is not None and (error.status >= 500 or error.status == HTTPStatus.TOO_MANY_REQUESTS):
            raise DocusignUnavailable(f"{error.user_message} Nobody was signed in. Try again in a moment.") from error
        _record_refusal("code")
        raise SignInRefused(
            "Docusign did not accept this sign-in: its code is too old or was used before. Start again."
        ) from error
    except MaestroError as error:
        raise DocusignUnavailable(f"{error.user_message} Nobody was signed in. Try again in a moment.") from error
    try:
        return _let_in(info, grant, pending["setup"])
    except Stranger:
        if settings.DOCUSIGN_REVOKE:
            client.revoke(grant.refresh_token or grant.access_token)
        raise


def record_sign_out(user: User, account: Account | None) -> None:
    """Only the session ends; the connection goes on, so that work under way is not lost (O-14)."""
    with transaction.atomic():
        audit.record("session.ended", actor=user, account=account, subject=user)


def _age(pending: PendingSignIn) -> float:
    return time.time() - pending["created_at"]


def _check_answer(params: Mapping[str, str]) -> None:
    """A refusal in any of its four spellings, another issuer, or no code (O-4)."""
    if any(params.get(name) for name in REFUSAL_NAMES):
        said = params.get("error") or params.get("error_code") or ""
        _record_refusal("docusign", code=said if re.fullmatch(r"[A-Za-z0-9_.-]{1,64}", said) else "")
        raise SignInRefused("The sign-in was refused at Docusign. Nobody was signed in, and nothing was kept.")
    issuer = params.get("iss")
    if issuer and issuer.rstrip("/") != environment().oauth_url:
        _record_refusal("issuer")
        raise StateRefused("This answer comes from another authorization server. Nobody was signed in.")
    if not params.get("code"):
        _record_refusal("no_code")
        raise StateRefused("Docusign's answer holds no code. Nobody was signed in. Start again.")


def _let_in(info: UserInfo, grant: TokenGrant, claim: str) -> SignedIn:
    named = [NamedAccount(each.id.lower(), each.name or each.id, each.is_default) for each in info.accounts]
    with transaction.atomic():
        served = accounts.served_among(named)
        is_claim = False
        if not served and claim and named and setup.use(claim):
            served = [next((each for each in named if each.is_default), named[0])]
            is_claim = True
        mine = {"environment": settings.DOCUSIGN_ENVIRONMENT, "sub": info.sub}
        barred = team_access.barred_accounts(**mine, among=[each.id for each in served])
        disabled = User.objects.filter(**mine, is_active=False).exists()
        disabled = disabled or bool(served and len(barred) == len(served))
        served = [each for each in served if each.id not in barred]
        if served and not disabled:
            return _store_person(info, grant, served, is_claim=is_claim)
    _close_membership_of(info.sub)
    _record_refusal("disabled" if disabled else "not_served")
    if disabled:
        raise Stranger("Your access to this console was switched off. An admin of your team can tell you why.")
    raise Stranger(
        "This console does not serve any Docusign account of yours, so you cannot come in. Nothing about you was kept. "
        "If your team uses this console, ask them which Docusign user to sign in with."
    )


def _store_person(info: UserInfo, grant: TokenGrant, served: list[NamedAccount], *, is_claim: bool) -> SignedIn:
    user, _ = User.objects.update_or_create(
        environment=settings.DOCUSIGN_ENVIRONMENT,
        sub=info.sub,
        defaults={"name": info.name or info.email or info.sub, "email": info.email or ""},
    )
    memberships = accounts.store_memberships(user, served)
    connection, _ = Connection.objects.get_or_create(user=user)
    tokens.store_grant(connection, grant)
    first = accounts.active_memberships(user).first() or memberships[0]
    if is_claim:
        audit.record("account.claimed", actor=user, account=first.account, subject=first.account)
    audit.record("session.started", actor=user, account=first.account, subject=user)
    return SignedIn(user, first)


def _close_membership_of(sub: str) -> None:
    """Somebody known who is named in no served account any more keeps no way in, and no proven rights."""
    user = User.objects.filter(environment=settings.DOCUSIGN_ENVIRONMENT, sub=sub).first()
    if user is not None:
        with transaction.atomic():
            mine = Membership.objects.filter(user=user)
            mine.update(is_active=False, is_default=False)
            accounts.forget_rights(user, mine)


def _record_refusal(why: str, *, code: str = "", counts: bool = True) -> None:
    """An audit entry without a name, an address or a session: nothing about a stranger is kept."""
    facts = current_facts()
    is_locked = counts and why not in HARMLESS and limits.note_failed_sign_in(facts.ip)
    set_facts(replace(facts, ip="", session_hash=""))
    try:
        with transaction.atomic():
            audit.record(
                "session.refused",
                actor=None,
                account=accounts.only_account(),
                result=AuditEntry.Result.REFUSED,
                detail={"why": why} | ({"docusign": code} if code else {}),
            )
            if is_locked:
                audit.record(
                    "session.locked_out",
                    actor=None,
                    account=accounts.only_account(),
                    result=AuditEntry.Result.REFUSED,
                    reason="Too many sign-ins from one address failed.",
                )
    finally:
        set_facts(facts)
