"""Several calls at a time, while everything that touches the database stays in this thread.

The one rule: the threads call Docusign and nothing else; tokens, budget and limits are looked after between their calls.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from dashboard.models import Account
from dashboard.services.budget import Lane
from dashboard.services.errors import ServiceError
from dashboard.services.timings import FAN_OUT, READ_DEADLINE_SECONDS
from dashboard.services.turnstile import Prepaid, through
from maestro_api import MaestroClient, MaestroError, Outcome, Unauthorized, map_bounded

T = TypeVar("T")
R = TypeVar("R")
Call = Callable[[MaestroClient, T], R]


def fan_out(
    account: Account,
    client: MaestroClient,
    token: Callable[[], str],
    items: Iterable[T],
    call: Call[T, R],
    *,
    lane: Lane,
) -> Iterator[Outcome[T, R]]:
    """Call with every item, a few at a time; outcomes in the order of the items. `client` repeats what a dead token lost.

    When the budget ends, what was sent before is still given out; then the refusal is raised.
    """
    refusals: list[ServiceError] = []
    with through(account, lane) as turnstile:
        prepaid = turnstile.prepaid()
        paid = _paid(client, token, items, prepaid, refusals)
        for outcome in map_bounded(lambda pair: call(pair[1], pair[0]), paid, workers=FAN_OUT):
            prepaid.hear()
            item, _ = outcome.item
            if isinstance(outcome.error, Unauthorized):
                yield _again(client, item, call)
            else:
                yield Outcome(item, outcome.result, outcome.error)
    if refusals:
        raise refusals[0]


def _paid(
    client: MaestroClient,
    token: Callable[[], str],
    items: Iterable[T],
    prepaid: Prepaid,
    refusals: list[ServiceError],
) -> Iterator[tuple[T, MaestroClient]]:
    """Each item with a client whose token stays as it is, and with its call claimed."""
    twins: dict[str, MaestroClient] = {}
    for item in items:
        try:
            key = token()
            prepaid.pay()
        except ServiceError as refusal:
            refusals.append(refusal)
            return
        if key not in twins:
            twins[key] = MaestroClient(
                client.environment, client.account_id, key, deadline=READ_DEADLINE_SECONDS, **prepaid.options
            )
        yield item, twins[key]


def _again(client: MaestroClient, item: T, call: Call[T, R]) -> Outcome[T, R]:
    """The call once more in this thread, where the token may be renewed."""
    try:
        return Outcome(item, result=call(client, item))
    except MaestroError as error:
        return Outcome(item, error=error)
