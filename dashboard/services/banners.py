"""What the whole console must say above every page. Its one rule: it says what is so now, why, and what helps."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.urls import reverse
from django.utils import timezone

from dashboard.models import Account, Connection, Membership, Rights
from dashboard.services import due, grants, sign_in_gate
from dashboard.services.quota import Lane, quota_of
from dashboard.services.visibility import is_connected

KNOWN_BEFORE = "You see what was known before; nothing is kept back to be sent later."


@dataclass(frozen=True, slots=True)
class Banner:
    """A sentence in a tone, with one way on."""

    tone: str
    text: str
    link_url: str = ""
    link_label: str = ""


@dataclass(frozen=True, slots=True)
class Budget:
    """The calls of this hour, ours and those of other apps."""

    used: int
    limit: int
    resets_at: datetime


def banners_for(membership: Membership) -> list[Banner]:
    """The banners of a person's pages, the most urgent first."""
    found = [_connection_banner(membership)]
    if is_connected(membership):  # without a grant every look fails and nothing is shown: that is the same news
        found += [_outage_banner(membership), _saving_banner(membership), _rights_banner(membership)]
    return [banner for banner in found if banner is not None]


def budget_of(account: Account) -> Budget | None:
    """The figures for the rail, everybody's calls together; None while Docusign has not told any for this hour."""
    quota = quota_of(getattr(account, "budget", None), timezone.now())
    if not quota.is_told:
        return None
    return Budget(min(quota.limit, quota.spent), quota.limit, quota.resets_at)


def _connection_banner(membership: Membership) -> Banner | None:
    connection = getattr(membership.user, "connection", None)
    again = sign_in_gate.sign_in_url(reverse("connections"))
    if connection is None or connection.state != Connection.State.ACTIVE:
        why = (
            connection.state_reason if connection and connection.state_reason else "You are not connected to Docusign."
        )
        return Banner(
            "warning", f"{why} Until then nothing is shown to you, and nothing can be sent.", again, "Sign in again"
        )
    if grants.is_ending_soon(connection):
        ends_at = grants.grant_ends_at(connection)
        day = timezone.localtime(ends_at).strftime("%-d %B") if ends_at else ""
        return Banner(
            "warning", f"Your connection to Docusign ends on {day}. Signing in again renews it.", again, "Sign in again"
        )
    return None


def _outage_banner(membership: Membership) -> Banner | None:
    now = timezone.now()
    row = getattr(membership.account, "budget", None)
    if row is not None and row.blocked_until is not None and row.blocked_until > now:
        return Banner(
            "warning", f"Docusign asked this console to wait until {_clock(row.blocked_until)}. {KNOWN_BEFORE}"
        )
    if row is not None and row.open_until is not None:
        # The pause may be over; until somebody has had an answer, the last that is known is that there is none.
        again = f"at {_clock(row.open_until)}" if row.open_until > now else "with the next call"
        return Banner("danger", f"Docusign is not answering. It is asked again {again}. {KNOWN_BEFORE}")
    trouble = due.trouble_of(membership)
    if trouble is None:
        return None
    said = trouble.message or "Docusign did not answer."
    return Banner("danger", f"The look at {_clock(trouble.at)} failed: {said} {KNOWN_BEFORE}")


def _saving_banner(membership: Membership) -> Banner | None:
    row = getattr(membership.account, "budget", None)
    quota = quota_of(row, timezone.now())
    until = _clock(quota.resets_at)
    if not quota.hour_allows(Lane.PEOPLE):
        return Banner(
            "warning",
            f"All {quota.limit:,} calls that Docusign allows this account in an hour are used, {quota.others:,} of them by "
            f"other apps. The next are free at {until}; until then nothing can be sent. {KNOWN_BEFORE}",
        )
    if quota.hour_allows(Lane.BACKGROUND):
        return None
    return Banner(
        "neutral",
        f"Most of this hour's calls to Docusign are used. This console looks by itself again at {until}; until then only what "
        "people do calls Docusign, and Refresh now brings fresh data.",
    )


def _clock(moment: datetime) -> str:
    return timezone.localtime(moment).strftime("%H:%M:%S")


def _rights_banner(membership: Membership) -> Banner | None:
    if membership.rights == Rights.NONE:
        return Banner(
            "warning",
            "Docusign shows you nothing here: your user has no right to Maestro workflows in this account. A Docusign admin can "
            "give it, in Docusign Admin under Permission profiles.",
        )
    is_stale = membership.rights == Rights.MANAGE and not membership.is_manager_now
    if is_stale and timezone.now() - membership.created_at > timedelta(minutes=1):
        return Banner(
            "warning",
            "Docusign has not confirmed in the last 15 minutes that you may see everything, so you see only what you started.",
        )
    return None
