"""The account-level list: all of it, or what runs and what is new.

The one rule: its order and its filters are not documented, so nothing is concluded from them; completeness comes only from the
end of an unfiltered list.
"""

import logging
from collections.abc import Iterator

from django.utils import timezone

from dashboard.models import RUNNING_STATES, Instance, InstanceChange
from dashboard.services.calls import is_denial
from dashboard.services.fan_out import fan_out
from dashboard.services.instances import apply_instance, mark_missing, uuid_of
from dashboard.services.listings import EMPTY, LEFT_OUT, SHORT, NotWhole, Reading
from dashboard.services.refreshes import deny
from dashboard.services.timings import READ_DEADLINE_SECONDS, SINGLE_READS
from maestro_api import (
    AccountPage,
    BadRequest,
    InstanceStatus,
    MaestroClient,
    PagingLoop,
    ServerError,
    UnreadableResponse,
)
from maestro_api import Instance as ApiInstance

log = logging.getLogger(__name__)
PAGE_SIZE = 1000
MOST_PAGES = 10_000
RUNNING_FILTER = "In Progress"
SHORTEST_SHARE = 0.9  # of the announced rows; the announced number is about right, never exact
ALL, RUNNING, NEWS, LEFT = "all", "running", "news", "left"


def read_all(reading: Reading) -> None:
    """Every page. Raises NotWhole when the end came but cannot be believed; then nothing is noted as missing."""
    for page in _pages(reading, ALL):
        reading.take(page.items)
        if _is_partial(page):
            reading.progress.note_left_out()
    rows, expected = reading.progress.rows, reading.progress.expected
    if reading.progress.is_partial:
        raise NotWhole(LEFT_OUT)
    has_unseen = reading.has_unseen()
    if reading.shows_all and (has_unseen or not rows):
        reading.shows_all = reading.prove_again()
    if not rows and reading.is_known():
        raise NotWhole(EMPTY)
    if expected and rows < expected * SHORTEST_SHARE:
        raise NotWhole(SHORT)
    if has_unseen:
        started_by = "" if reading.shows_all else reading.reader.own_id
        mark_missing(reading.account, since=reading.began, started_by=started_by)


def read_recent(reading: Reading) -> None:
    """What runs, what is new, and one by one what should run but did not come."""
    if reading.progress.phase in ("", RUNNING):
        _read_running(reading)
    if reading.progress.phase != LEFT:
        for page in _pages(reading, NEWS):
            if _is_partial(page):
                reading.progress.note_left_out()
            if not reading.take(page.items).is_change:
                break
        reading.progress.note_page(cursor=reading.progress.cursor_at(LEFT), rows=0)
    _read_left(reading)
    if reading.progress.is_partial:
        raise NotWhole(LEFT_OUT)


def _pages(reading: Reading, phase: str, *, status: str | None = None) -> Iterator[AccountPage]:
    """Page after page from the noted one on; a page is noted when the caller comes back for the next."""
    progress = reading.progress
    token = progress.token if progress.phase == phase else ""
    seen = {token}
    for _ in range(MOST_PAGES):
        page = reading.client.list_account_instances(status=status, page_size=PAGE_SIZE, ctoken=token or None)
        yield page
        token = page.ctoken or ""
        if token and token in seen:
            raise PagingLoop("a page token came twice", operation="list_account_instances")
        seen.add(token)
        expected = page.total_set_size if phase == ALL else None
        progress.note_page(cursor=progress.cursor_at(phase, token), rows=len(page), expected=expected)
        if not token:
            return
    raise PagingLoop(f"no end after {MOST_PAGES} pages", operation="list_account_instances")


def _is_partial(page: AccountPage) -> bool:
    """Whether rows of the page are missing: unreadable ones, or fewer than the page itself says."""
    stated = page.result_set_size
    return any("was skipped" in oddity for oddity in page.oddities) or (stated is not None and stated > len(page))


def _read_running(reading: Reading) -> None:
    """What Docusign calls running; where the filter is refused or not heeded, the rest of the pass finds it."""
    try:
        for page in _pages(reading, RUNNING, status=RUNNING_FILTER):
            if _is_partial(page):
                reading.progress.note_left_out()
            reading.take(page.items)
            if any(item.status != InstanceStatus.IN_PROGRESS for item in page.items):
                log.info("The filter by state is not heeded", extra={"account": str(reading.account.pk)})
                return
    except BadRequest as error:
        if reading.progress.phase == RUNNING and reading.progress.token:
            raise  # a page token is refused, not the filter: whoever goes on begins anew
        log.info("The filter by state was refused: %s", error.detail, extra={"account": str(reading.account.pk)})


def _read_left(reading: Reading) -> None:
    """Running ones that no page of this pass showed, those first whose last look is longest ago; the rest waits.

    One that Docusign cannot answer for keeps its own time and holds nothing up; an outage is what the breaker sees in several.
    """
    rows = Instance.objects.filter(
        account=reading.account, status__in=RUNNING_STATES, missing_since=None, synced_at__lt=reading.began
    )
    if not reading.shows_all:
        rows = rows.filter(started_by=reading.reader.own_id)
    rows = rows.order_by("synced_at")
    left = list(rows.defer("trigger_inputs", "metadata", "extra", "sealed_url")[:SINGLE_READS])
    token, unanswered = reading.reader.token, []
    for outcome in fan_out(reading.account, reading.client, token, left, _get, lane=reading.lane):
        if outcome.error is not None and is_denial(outcome.error):
            _note_denied(reading, outcome.item)
        elif isinstance(outcome.error, BadRequest | ServerError | UnreadableResponse):
            log.warning("One instance was not answered for", extra={"instance": str(outcome.item.pk)})
            unanswered.append(outcome.item.pk)
        else:
            answer = outcome.get()
            if uuid_of(answer.id) == outcome.item.pk:
                apply_instance(reading.account, answer, source=InstanceChange.Source.READ)
        reading.progress.note_page(cursor=reading.progress.cursor_at(LEFT), rows=1)
    reading.left_as_of = rows.exclude(pk__in=unanswered).values_list("synced_at", flat=True).first()


def _get(client: MaestroClient, row: Instance) -> ApiInstance:
    return client.get_instance(str(row.workflow_id), str(row.pk), deadline=READ_DEADLINE_SECONDS)


def _note_denied(reading: Reading, row: Instance) -> None:
    """Docusign does not show it to the reader any more; others keep their own proofs."""
    Instance.objects.filter(pk=row.pk).update(missing_since=timezone.now())
    if reading.reader.membership is not None:
        deny(row, reading.reader.membership)
