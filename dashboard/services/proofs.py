"""What a person may see, proven with their own token: two calls, whoever reads the mirror.

The one rule (V-2): only Docusign's answer to this very person proves anything; a refusal takes away at once, and doubt never gives.
"""

import logging
from datetime import timedelta

from django.db.models import F
from django.utils import timezone

from dashboard.models import Account, Membership, Rights, Workflow
from dashboard.services.instances import bump
from dashboard.services.timings import ACCOUNT_LIST_PROBE_EVERY, PROOF_KEPT
from dashboard.services.visibility import own_id
from dashboard.services.workflows import apply_access, apply_workflows, remove_access
from maestro_api import Forbidden, MaestroClient

log = logging.getLogger(__name__)


def prove_person(client: MaestroClient, membership: Membership, *, keeps_proof: bool) -> list[Workflow] | None:
    """Ask with this person's token which workflows they see, and whether all instances; None when Docusign shows nothing.

    `keeps_proof`: nobody asked, so a proof of rights that is minutes old is not asked for again.
    """
    try:
        listed = apply_workflows(membership.account, client.list_workflows())
        apply_access(membership, listed)
        if not has_account_list(client, membership.account):
            prove(membership, Rights.OWN)  # what is shown of others is proven workflow by workflow
        elif not (keeps_proof and is_freshly_proven(membership)):
            prove_rights(client, membership)
    except Forbidden as error:
        remove_access(membership)
        prove(membership, Rights.NONE, message=error.detail)
        return None
    return listed


def prove_rights(client: MaestroClient, membership: Membership) -> bool:
    """Whether Docusign shows this person everybody's instances, asked now."""
    manages = client.manages_account(own_id(membership)) is True
    prove(membership, Rights.MANAGE if manages else Rights.OWN)
    return manages


def prove(membership: Membership, rights: Rights, *, message: str = "") -> None:
    """Docusign just showed what this person may see."""
    rows = Membership.objects.filter(pk=membership.pk)
    if rows.exclude(rights=rights, rights_message=message).update(
        rights=rights, rights_message=message, rights_version=F("rights_version") + 1
    ):
        bump(membership.account_id)
    rows.update(rights_proven_at=timezone.now())
    membership.refresh_from_db(fields=["rights", "rights_message", "rights_version", "rights_proven_at"])


def is_freshly_proven(membership: Membership, *, within: timedelta = PROOF_KEPT) -> bool:
    """Whether a proof of this person's rights is so young that it is not asked for again."""
    rows = Membership.objects.filter(pk=membership.pk, rights__in=(Rights.MANAGE, Rights.OWN))
    return rows.filter(rights_proven_at__gt=timezone.now() - within).exists()


def has_account_list(client: MaestroClient, account: Account, *, asks_again: bool = False) -> bool:
    """Whether the newest operation exists here; asked once a day, or at once when it seems to have changed."""
    now = timezone.now()
    account.refresh_from_db(fields=["has_account_list", "account_list_probed_at"])
    probed = account.account_list_probed_at
    is_fresh = probed is not None and probed > now - ACCOUNT_LIST_PROBE_EVERY
    if account.has_account_list is not None and is_fresh and not asks_again:
        return account.has_account_list
    has_it = client.supports_account_list()
    account.has_account_list, account.account_list_probed_at = has_it, now
    Account.objects.filter(pk=account.pk).update(has_account_list=has_it, account_list_probed_at=now)
    return has_it
