"""The type of a request behind the login gate. Its one rule: it only names what the middleware has set; it does nothing."""

from django.http import HttpRequest
from django_htmx.middleware import HtmxDetails

from dashboard.models import Account, Membership, User


class PersonRequest(HttpRequest):
    """A request of somebody who is signed in and belongs to an account, as `requires` guarantees."""

    user: User
    membership: Membership
    memberships: list[Membership]
    account: Account
    htmx: HtmxDetails
    stamp: str  # set by `stamps.unchanged`, for pages that poll
