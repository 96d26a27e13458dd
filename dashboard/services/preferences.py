"""What a person prefers. Its one rule: only the time zone is stored here; theme and shortcuts belong to the browser."""

from functools import cache
from zoneinfo import available_timezones

from dashboard.models import User

AREAS = frozenset(["Africa", "America", "Antarctica", "Asia", "Atlantic", "Australia", "Europe", "Indian", "Pacific"])


@cache
def time_zones() -> tuple[str, ...]:
    """The zones that can be chosen: UTC and the places, without the old aliases."""
    return ("UTC", *sorted(name for name in available_timezones() if name.partition("/")[0] in AREAS))


def set_time_zone(user: User, *, time_zone: str) -> None:
    """Show this person's times in another zone."""
    User.objects.filter(pk=user.pk).update(time_zone=time_zone)
    user.time_zone = time_zone
