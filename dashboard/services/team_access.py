"""Switching a person's access to an account off and on again.

The one rule: whoever is switched off is out at their next request, nothing more is sent in their name, and only an admin lets them
in again; Docusign naming them at a sign-in is not enough.
"""

import hashlib
from collections.abc import Iterable

from django.db import transaction
from django.db.models import F
from django.utils import timezone

from dashboard.models import Account, Membership, User
from dashboard.services import accounts, audit, browser_sessions
from dashboard.services.connections import close_grant
from dashboard.services.errors import Refused
from dashboard.services.team import is_last_admin

REASON = "An admin switched off your access."


def switch_off(membership: Membership, *, actor: User) -> None:
    """End the person's access and every session of theirs. Refused for oneself and for the last admin."""
    refusal = ""
    with transaction.atomic():
        # Taking the account's row first makes two changes of one team wait for each other in every database.
        Account.objects.filter(pk=membership.account_id).update(version=F("version") + 1)
        membership.refresh_from_db(fields=["role", "is_active", "barred_at"])
        if membership.barred_at:
            return
        if membership.user_id == actor.pk:
            refusal = "You cannot switch off your own access. Ask another admin."
        elif is_last_admin(membership):
            refusal = f"{membership.user} is the last admin of {membership.account}. Make somebody else an admin first."
        else:
            _bar(membership)
        audit.record(
            "membership.barring_rejected" if refusal else "membership.barred",
            actor=actor,
            account=membership.account,
            subject=membership,
            result=audit.Result.REFUSED if refusal else audit.Result.OK,
            reason=refusal,
        )
    if refusal:
        raise Refused(refusal)


def switch_on(membership: Membership, *, actor: User) -> None:
    """Let the person sign in again; what they may see is proven anew then."""
    with transaction.atomic():
        if Membership.objects.filter(pk=membership.pk).exclude(barred_at=None).update(barred_at=None):
            audit.record("membership.admitted", actor=actor, account=membership.account, subject=membership)


def barred_accounts(*, environment: str, sub: str, among: Iterable[str]) -> set[str]:
    """Those of the accounts from which this person is switched off."""
    subs = [sub, _erased_sub(environment, sub)]
    rows = Membership.objects.filter(user__environment=environment, user__sub__in=subs, account__in=list(among))
    return {str(key) for key in rows.exclude(barred_at=None).values_list("account_id", flat=True)}


def keep_barred(user: User) -> str:
    """What stands for the Docusign id of a person who is erased: a digest, where they are switched off and must stay so."""
    if not user.memberships.exclude(barred_at=None).exists():
        return f"erased-{user.pk.hex}"
    kept = _erased_sub(user.environment, user.sub)
    # One who was erased before, let in again and switched off again: the newer bar is the one that counts.
    for older in User.objects.filter(environment=user.environment, sub=kept):
        older.memberships.all().delete()
        User.objects.filter(pk=older.pk).update(sub=f"erased-{older.pk.hex}")
    return kept


def _erased_sub(environment: str, sub: str) -> str:
    """What stands for this Docusign id since an erasure. Without a secret, so that a new one lets nobody in; the id is random itself."""
    return f"erased-{hashlib.sha256(f'erased person {environment} {sub}'.encode()).hexdigest()[:48]}"


def _bar(membership: Membership) -> None:
    mine = Membership.objects.filter(pk=membership.pk)
    mine.update(is_active=False, is_default=False, barred_at=timezone.now())
    accounts.forget_rights(membership.user, mine)
    User.objects.filter(pk=membership.user_id).update(session_epoch=F("session_epoch") + 1)
    browser_sessions.end_all(membership.user)
    if not accounts.active_memberships(membership.user).exists():
        # Nothing may use the grant any more, so it is not kept either.
        close_grant(membership.user, REASON)
