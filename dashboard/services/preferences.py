"""What a person prefers. Its one rule: only the time zone is stored here; theme and shortcuts belong to the browser."""

from functools import cache
from zoneinfo import available_timezones

from django.utils import timezone

from dashboard.models import User

AREAS = frozenset(["Africa", "America", "Antarctica", "Asia", "Atlantic", "Australia", "Europe", "Indian", "Pacific"])

UTC_NAMES = frozenset(["UTC", "Etc/UTC", "Etc/GMT", "Etc/UCT", "Etc/Greenwich", "GMT", "UCT", "Universal", "Zulu"])


@cache
def time_zones() -> tuple[str, ...]:
    """The zones that can be chosen: UTC and the places, without the old aliases."""
    return ("UTC", *sorted(name for name in available_timezones() if name.partition("/")[0] in AREAS))


def known_zone(name: str) -> str:
    """The name under which a zone can be chosen here; empty for anything else."""
    if name in UTC_NAMES:
        return "UTC"
    return name if name in time_zones() else ""


def set_time_zone(user: User, *, time_zone: str) -> None:
    """Show this person's times in another zone."""
    now = timezone.now()
    User.objects.filter(pk=user.pk).update(time_zone=time_zone, time_zone_set_at=now)
    user.time_zone, user.time_zone_set_at = time_zone, now


def adopt_time_zone(user: User, *, time_zone: str) -> bool:
    """Take the zone of the browser, unless one was set before; whether that changes what the person sees."""
    unset = User.objects.filter(pk=user.pk, time_zone_set_at=None)
    is_taken = bool(unset.update(time_zone=time_zone, time_zone_set_at=timezone.now()))
    return is_taken and time_zone != user.time_zone
