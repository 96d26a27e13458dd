"""The participant link of an instance, which is a credential.

The one rule (O-16): it is opened only for the person whose trigger brought it, with an audit entry, and only when it leads to Docusign.
"""

from dataclasses import dataclass

from django.db import transaction

from dashboard import crypto
from dashboard.models import Instance, Membership, User
from dashboard.services import audit
from dashboard.services.authorization_server import environment
from dashboard.services.errors import Refused
from dashboard.services.triggers import url_place
from dashboard.services.visibility import own_id
from maestro_api import is_app_url


@dataclass(frozen=True, slots=True)
class LinkState:
    """Whether this person can reveal the link, and the sentence that says so."""

    can_reveal: bool
    sentence: str


def state_of_link(instance: Instance, membership: Membership) -> LinkState:
    """What can be said of the link without opening it, and without naming whose it is."""
    if instance.sealed_url and instance.url_owner_id == membership.user_id:
        return LinkState(True, "Whoever has it can act in this instance. It is kept sealed; revealing it is recorded.")
    if instance.started_by == own_id(membership):
        return LinkState(
            False,
            "Not available: Docusign gives it only in the answer to a trigger, and that answer did not reach this console.",
        )
    return LinkState(
        False, "Not available to you: Docusign gives it only to the person who triggers, in the answer to the trigger."
    )


def reveal_link(instance: Instance, *, actor: User) -> str:
    """The link in plain text, recorded. Raises Refused when it cannot be opened or leads elsewhere."""
    try:
        link = crypto.unseal(instance.sealed_url, *url_place(instance.pk))
    except crypto.SealBroken as error:
        raise Refused("The link cannot be opened any more: the key it was sealed with is gone.") from error
    if not is_app_url(environment(), link):
        raise Refused("Docusign gave a link that leads outside Docusign, so it is not shown.")
    with transaction.atomic():
        audit.record("instance.link_revealed", actor=actor, account=instance.account, subject=instance)
    return link
