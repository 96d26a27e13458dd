"""Which Docusign accounts this console serves, and who belongs to them.

The one rule: an account outside this list is never stored, so nothing about its people is either.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from django.conf import settings
from django.db.models import F, Q, QuerySet

from dashboard.models import Account, Membership, Rights, Role, User, WorkflowAccess


@dataclass(frozen=True, slots=True)
class NamedAccount:
    """An account as Docusign's userinfo names it."""

    id: str
    name: str
    is_default: bool


def is_unclaimed() -> bool:
    """Whether no account is served yet, so that the first person may claim one with the setup code."""
    return not settings.CONSOLE_ACCOUNTS and not served_accounts().exists()


def served_accounts() -> QuerySet[Account]:
    """The accounts of this console that somebody has signed in to."""
    mine = Account.objects.filter(environment=settings.DOCUSIGN_ENVIRONMENT)
    return mine.filter(pk__in=settings.CONSOLE_ACCOUNTS) if settings.CONSOLE_ACCOUNTS else mine


def served_among(named: Iterable[NamedAccount]) -> list[NamedAccount]:
    """Those of the named accounts that this console serves."""
    served = settings.CONSOLE_ACCOUNTS or [str(key) for key in served_accounts().values_list("pk", flat=True)]
    return [account for account in named if account.id in served]


def active_memberships(user: User) -> QuerySet[Membership]:
    """The accounts that this person may work in now, the default one first."""
    return _active_memberships().filter(user=user).order_by("-is_default", "account__name", "pk")


def _active_memberships() -> QuerySet[Membership]:
    """Every request asks this, so it says itself which accounts are served: a subquery takes long to plan."""
    rows = Membership.objects.select_related("account__budget", "account__sync", "user__connection")
    rows = rows.filter(is_active=True, account__environment=settings.DOCUSIGN_ENVIRONMENT)
    if settings.CONSOLE_ACCOUNTS:
        rows = rows.filter(account__in=settings.CONSOLE_ACCOUNTS)
    return rows


def person_of(user_id: str) -> User | None:
    """The person of a session, and `working_in` read along with them, since every request needs both; None for nobody."""
    found = _active_memberships().filter(user_id=user_id, user__is_active=True)
    rows = sorted(
        found, key=lambda row: (not row.is_default, row.account.name, row.pk)
    )  # as `active_memberships` has them
    user = rows[0].user if rows else User.objects.filter(pk=user_id, is_active=True).first()
    if user is not None:
        user.working_in = rows
        for row in rows:
            row.user = user
    return user


def home_account(user: User) -> Account | None:
    """The account under which a deed that concerns all of a person's accounts is recorded."""
    membership = active_memberships(user).first()
    return membership.account if membership else None


def only_account() -> Account | None:
    """The account whose admins are told of refused sign-ins: the served one, where there is just one."""
    served = list(served_accounts()[:2])
    return served[0] if len(served) == 1 else None


def default_role(account: Account) -> Role:
    """The role of a new person: the first one is the account's admin, others may look; in a rehearsal they may act."""
    if not account.memberships.filter(role=Role.ADMIN).exists():
        return Role.ADMIN
    return Role.OPERATOR if account.environment == "simulator" else Role.VIEWER


def store_memberships(user: User, named: list[NamedAccount]) -> list[Membership]:
    """Make the memberships what Docusign says now; accounts that it no longer names are closed to this person."""
    default = next((account.id for account in named if account.is_default), named[0].id)
    memberships = []
    for entry in named:
        account, _ = Account.objects.get_or_create(
            pk=entry.id, defaults={"environment": user.environment, "name": entry.name}
        )
        Account.objects.filter(pk=account.pk).exclude(name=entry.name).update(name=entry.name)
        membership, _ = Membership.objects.get_or_create(
            user=user, account=account, defaults={"role": default_role(account)}
        )
        admitted = Membership.objects.filter(pk=membership.pk, barred_at=None)  # nobody switched them off just now
        admitted.update(is_active=True, is_default=entry.id == default)
        memberships.append(membership)
    gone = Membership.objects.filter(user=user).exclude(account__in=[entry.id for entry in named])
    gone.update(is_active=False, is_default=False)
    forget_rights(user, gone)
    return memberships


def forget_rights(user: User, memberships: QuerySet[Membership]) -> None:
    """V-6: what Docusign once showed this person counts no more; it must be proven anew."""
    WorkflowAccess.objects.filter(user=user, workflow__account__in=memberships.values("account")).delete()
    memberships.exclude(Q(rights=Rights.UNPROVEN) & Q(rights_proven_at=None)).update(
        rights=Rights.UNPROVEN, rights_proven_at=None, rights_message="", rights_version=F("rights_version") + 1
    )
