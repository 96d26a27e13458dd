"""The team of an account: who is in it, with which role. Its one rule: an account always keeps an admin."""

from django.db import transaction
from django.db.models import Case, F, IntegerField, Q, QuerySet, Value, When

from dashboard.models import Account, Membership, Role, User
from dashboard.services import audit
from dashboard.services.errors import Refused

RANK = Case(
    When(role=Role.ADMIN, then=Value(0)),
    When(role=Role.OPERATOR, then=Value(1)),
    default=Value(2),
    output_field=IntegerField(),
)


def members_of(account: Account) -> QuerySet[Membership]:
    """Everybody who has signed in to the account, admins first; those whom Docusign names no longer come last."""
    rows = Membership.objects.filter(account=account).select_related("user", "account", "user__connection")
    rows = rows.filter(Q(is_active=True) | Q(user__connection__isnull=False) | Q(barred_at__isnull=False))
    return rows.order_by("-is_active", RANK, "user__name", "pk")


def is_last_admin(membership: Membership) -> bool:
    """Whether nobody else could give roles if this person could not."""
    others = Membership.objects.filter(
        account=membership.account_id, role=Role.ADMIN, is_active=True, user__is_active=True
    )
    return membership.role == Role.ADMIN and not others.exclude(pk=membership.pk).exists()


def change_role(membership: Membership, *, actor: User, role: Role) -> Membership:
    """Give a member another role. Refused for the last admin; every change is in the audit."""
    refusal = ""
    with transaction.atomic():
        # Taking the account's row first makes two changes of one team wait for each other in every database.
        Account.objects.filter(pk=membership.account_id).update(version=F("version") + 1)
        membership.refresh_from_db(fields=["role", "is_active"])
        before = Role(membership.role)
        if before == role:
            return membership
        if not membership.is_active:
            refusal = f"{membership.user} does not belong to {membership.account} any more."
        elif is_last_admin(membership):
            refusal = f"{membership.user} is the last admin of {membership.account}. Make somebody else an admin first."
        else:
            Membership.objects.filter(pk=membership.pk).update(role=role)
            membership.role = role
        audit.record(
            "membership.role_rejected" if refusal else "membership.role_changed",
            actor=actor,
            account=membership.account,
            subject=membership,
            result=audit.Result.REFUSED if refusal else audit.Result.OK,
            reason=refusal,
            detail={"from": before.value, "to": role.value},
        )
    if refusal:
        raise Refused(refusal, field="role")
    return membership


def change_reading(membership: Membership, *, actor: User, may_sync: bool) -> bool:
    """Whether a member's connection may read the account for everybody; False when it was so already."""
    with transaction.atomic():
        if not Membership.objects.filter(pk=membership.pk).exclude(may_sync=may_sync).update(may_sync=may_sync):
            return False
        membership.may_sync = may_sync
        audit.record(
            "membership.reading_changed",
            actor=actor,
            account=membership.account,
            subject=membership,
            detail={"from": not may_sync, "to": may_sync},
        )
    return True


def make_admin(*, sub: str, environment: str) -> list[Membership]:
    """For the operator of the server, when the last admin has left: make a known person admin of all their accounts."""
    rows = Membership.objects.select_related("user", "account").filter(
        user__sub=sub.strip("{}").lower(), user__environment=environment, is_active=True
    )
    with transaction.atomic():
        members = list(rows.exclude(role=Role.ADMIN))
        for member in members:
            before = member.role
            Membership.objects.filter(pk=member.pk).update(role=Role.ADMIN)
            audit.record(
                "membership.role_changed",
                actor=None,
                account=member.account,
                subject=member,
                reason="Made by the command make_admin on the server.",
                detail={"from": before, "to": Role.ADMIN.value},
            )
    return members


def appoint_admin(*, sub: str, environment: str, account_id: str) -> Membership:
    """Name an account's admin before anybody has signed in, so that it is not whoever comes first.

    The membership stays closed until Docusign names the account at this person's sign-in.
    """
    with transaction.atomic():
        user, _ = User.objects.get_or_create(environment=environment, sub=sub.strip("{}").lower())
        account, _ = Account.objects.get_or_create(pk=account_id, defaults={"environment": environment})
        member, _ = Membership.objects.get_or_create(user=user, account=account, defaults={"is_active": False})
        Membership.objects.filter(pk=member.pk).update(role=Role.ADMIN)
        audit.record(
            "membership.role_changed",
            actor=None,
            account=account,
            subject=member,
            reason="Appointed by the command make_admin on the server.",
            detail={"to": Role.ADMIN.value},
        )
    return member
