"""Names for Docusign user ids. Its one rule: a name is taken only from people of the account or from rows that the reader may see."""

from collections.abc import Iterable

from django.db.models import Q

from dashboard.models import Membership, User
from dashboard.services.suggestions import first_rows


def names_of(membership: Membership, ids: Iterable[str]) -> dict[str, str]:
    """Names by Docusign user id; ids that nobody can name are absent."""
    wanted = {text.strip("{}").lower() for text in ids if text}
    if not wanted:
        return {}
    known = User.objects.filter(
        environment=membership.account.environment, sub__in=wanted, memberships__account_id=membership.account_id
    )
    names = dict(known.values_list("sub", "name"))
    rest = wanted - set(names)
    if rest:
        named = first_rows(membership, [(person, Q(started_by_name__gt="")) for person in sorted(rest)])
        names.update(named.order_by().values_list("started_by", "started_by_name"))
    return names
