"""The shared reading of an account: whole or not counted, resumed where it was, by one worker at a time."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.utils import timezone

from dashboard.models import Account, AccountSync, Instance, Membership, Rights, Workflow
from dashboard.services import account_lists, claims, due, passes, sync, visibility
from dashboard.services.identities import reader_of
from dashboard.services.passes import Outcome
from maestro_api.simulator import MAIN_ACCOUNT_ID, Simulator
from tests.services.test_sync import at_docusign, shown

Connect = Callable[..., Membership]
LIST = {"path": "workflow-instances"}
PAGE = 7


@pytest.fixture(autouse=True)
def _small_pages(monkeypatch: pytest.MonkeyPatch, simulator: Simulator) -> None:
    monkeypatch.setattr(account_lists, "PAGE_SIZE", PAGE)
    simulator.world.settings.moving = False


@pytest.fixture
def ada(connect: Connect) -> Membership:
    """A manager whose account was never read."""
    return connect("Ada Admin", rights=Rights.MANAGE)


@pytest.fixture
def read(ada: Membership) -> AccountSync:
    """The account read whole, and large enough that not every pass is a full one."""
    assert passes.read_account(ada.account) is Outcome.WHOLE
    AccountSync.objects.update(calls=100, seconds=0)
    return AccountSync.objects.get()


def everything(simulator: Simulator) -> int:
    return len(simulator.world.instances.by_account[MAIN_ACCOUNT_ID])


def pages_asked(simulator: Simulator) -> int:
    return sum(entry["path"].endswith("/workflow-instances") for entry in simulator.ledger())


def mirror() -> set[tuple[Any, ...]]:
    return set(Instance.objects.values_list("pk", "status", "missing_since"))


def at_page(number: int, do: Callable[[], object]) -> Callable[[AccountSync], None]:
    """Something happens at Docusign when so many pages are noted."""
    done: list[int] = []

    def heard(row: AccountSync) -> None:
        if row.pages == number and not done:
            done.append(number)
            do()

    return heard


def fail(simulator: Simulator, **do: Any) -> Callable[[], object]:
    return lambda: simulator.set_faults([{"match": LIST, "do": do}])


def test_a_pass_that_broke_off_goes_on_behind_the_last_page(ada: Membership, simulator: Simulator) -> None:
    """R-10: each page counts, none is asked for twice, and the mirror ends complete."""
    heard = at_page(3, fail(simulator, status=503))
    assert passes.read_account(ada.account, heard=heard) is Outcome.FAILED
    row = AccountSync.objects.get()
    assert (row.kind, row.pages, row.rows, bool(row.cursor), row.full_at) == ("full", 3, 3 * PAGE, True, None)
    assert Instance.objects.count() == 3 * PAGE
    simulator.set_faults([])
    simulator.clear_ledger()
    assert passes.read_account(ada.account) is Outcome.WHOLE
    assert pages_asked(simulator) <= -(-everything(simulator) // PAGE) - 3 + 1
    row.refresh_from_db()
    assert (row.kind, row.rows, row.error, row.failed_at) == ("", everything(simulator), "", None)
    assert Instance.objects.count() == everything(simulator)


def test_a_pass_that_somebody_else_may_not_go_on_with_begins_anew(
    ada: Membership, connect: Connect, simulator: Simulator
) -> None:
    """V-5: a page token belongs to the person who got it."""
    passes.read_account(ada.account, heard=at_page(2, fail(simulator, status=503)))
    simulator.set_faults([])
    Membership.objects.filter(pk=ada.pk).update(may_sync=False)
    olu = connect("Olu Operator", rights=Rights.MANAGE)
    assert passes.read_account(ada.account) is Outcome.WHOLE
    row = AccountSync.objects.get()
    assert (row.identity, row.rows) == (olu, everything(simulator))


@pytest.mark.parametrize("cursor", ["all:no-token-of-this-list", "all:x"])
def test_a_refused_page_token_begins_the_pass_anew(cursor: str, ada: Membership, simulator: Simulator) -> None:
    """How long a token lives is not documented."""
    passes.read_account(ada.account, heard=at_page(2, fail(simulator, status=503)))
    simulator.set_faults([])
    AccountSync.objects.update(cursor=cursor)
    assert passes.read_account(ada.account) is Outcome.WHOLE
    assert AccountSync.objects.get().rows == everything(simulator)


def test_a_refused_page_token_of_what_runs_is_not_taken_for_a_refused_filter(
    ada: Membership, read: AccountSync, simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """R-10: a reading of what runs that broke off in the middle does not count as whole."""
    monkeypatch.setattr(account_lists, "SINGLE_READS", 0)
    began = timezone.now()
    passes.read_account(ada.account, heard=at_page(1, fail(simulator, status=503)))
    simulator.set_faults([])
    assert AccountSync.objects.update(cursor="running:no-token-of-this-list") == 1
    assert passes.read_account(ada.account) is Outcome.WHOLE
    assert not Instance.objects.filter(raw_status="In Progress", synced_at__lt=began).exists()


@pytest.mark.parametrize(
    "do",
    [
        {"repeat_ctoken": True},
        {"body": '{"instances":[]}'},
        {"body": '{"instances":['},
        {"truncate_gzip": True},
        {"status": 503},
        {"body": {"instances": [], "result_set_size": 5}},
        {"body": {"instances": [{"name": "no id"}]}},
        {"body": {"instances": [], "total_set_size": 900}},
    ],
    ids=str,
)
def test_a_list_that_lies_changes_nothing_and_does_not_count(
    do: dict[str, Any], read: AccountSync, ada: Membership, simulator: Simulator
) -> None:
    """R-10: nothing disappears, no state changes, nothing is called missing, and the reason is kept."""
    before = mirror()
    ended = read.ended_at
    simulator.set_faults([{"match": LIST, "do": do}])
    assert passes.read_account(ada.account, wants_full=True) is Outcome.FAILED
    read.refresh_from_db()
    assert mirror() == before
    assert (read.ended_at, bool(read.error)) == (ended, True)
    assert due.trouble_of(Membership.objects.get(pk=ada.pk)) is not None


def test_a_list_that_ends_early_is_not_believed(read: AccountSync, ada: Membership, simulator: Simulator) -> None:
    """R-10: far fewer rows than were announced is half a list."""
    some = {"id": str(Instance.objects.first().pk)}
    simulator.set_faults([{"match": LIST, "do": {"body": {"instances": [some], "total_set_size": 400}}}])
    assert passes.read_account(ada.account, wants_full=True) is Outcome.FAILED
    assert not Instance.objects.exclude(missing_since=None).exists()
    assert "ended before" in AccountSync.objects.get().error


def test_that_something_was_left_out_is_not_forgotten_when_another_worker_goes_on(
    read: AccountSync, ada: Membership, simulator: Simulator
) -> None:
    """R-10: half a page before a crash keeps the whole pass from counting."""
    real = Instance.objects.first()
    lacking = {"instances": [{"id": str(real.pk)}, {"name": "no id"}], "ctoken": "next"}
    simulator.set_faults([{"match": LIST, "do": {"body": lacking}}])
    stop = at_page(1, fail(simulator, status=503))
    assert passes.read_account(ada.account, wants_full=True, heard=stop) is Outcome.FAILED
    rest = {"instances": [{"id": str(row.pk)} for row in Instance.objects.exclude(pk=real.pk)[:20]]}
    simulator.set_faults([{"match": LIST, "do": {"body": rest}}])
    assert passes.read_account(ada.account, wants_full=True) is Outcome.FAILED
    assert not Instance.objects.exclude(missing_since=None).exists()


def test_two_workers_never_read_an_account_at_once(ada: Membership, simulator: Simulator) -> None:
    """U-9: one update decides."""
    assert claims.take(ada.account) is not None
    simulator.clear_ledger()
    assert passes.read_account(ada.account) is Outcome.BUSY
    assert simulator.ledger() == []


def test_a_worker_that_lost_its_claim_writes_no_more_of_the_pass(ada: Membership, simulator: Simulator) -> None:
    """A worker that slept through its lease finds another one's claim, and stops."""
    steal = at_page(2, lambda: AccountSync.objects.update(lease="somebody-else"))
    assert passes.read_account(ada.account, heard=steal) is Outcome.BUSY
    row = AccountSync.objects.get()
    assert (row.pages, row.lease, row.full_at) == (2, "somebody-else", None)


def test_a_claim_of_a_dead_worker_ends_by_itself(ada: Membership) -> None:
    assert claims.take(ada.account) is not None
    with time_machine.travel(timezone.now() + timedelta(seconds=121)):
        assert passes.read_account(ada.account) is Outcome.WHOLE


@pytest.mark.parametrize("pages", [1, 2])
def test_when_the_account_list_goes_away_the_workflows_are_asked(
    pages: int, ada: Membership, simulator: Simulator
) -> None:
    """A list that answered once may be switched off at any time, also between two of its pages."""
    passes.read_account(ada.account, heard=at_page(1, fail(simulator, status=503)))
    simulator.set_faults([])
    off = at_page(pages + 1, lambda: simulator.set_profile(account_list=False))
    if pages == 1:  # between two workers
        simulator.set_profile(account_list=False)
    assert passes.read_account(ada.account, heard=off) is Outcome.WHOLE
    assert Account.objects.get().has_account_list is False
    assert Instance.objects.count() == everything(simulator)
    assert AccountSync.objects.get().shows_all is False


def test_the_lists_of_workflows_go_on_where_they_were(ada: Membership, simulator: Simulator) -> None:
    """What was read whole is not read again by whoever goes on."""
    simulator.set_profile(account_list=False)
    stop = at_page(4, lambda: simulator.set_faults([{"match": {"path": "/instances$"}, "do": {"status": 503}}]))
    assert passes.read_account(ada.account, heard=stop) is Outcome.FAILED
    done = set(Workflow.objects.exclude(instances_read_at=None).values_list("pk", flat=True))
    assert len(done) >= 4
    simulator.set_faults([])
    simulator.clear_ledger()
    assert passes.read_account(ada.account) is Outcome.WHOLE
    asked = {entry["path"].split("/")[5] for entry in simulator.ledger() if entry["path"].endswith("/instances")}
    assert not asked & {str(pk) for pk in done}
    assert Instance.objects.count() == everything(simulator)


def test_a_recent_pass_finds_what_runs_and_what_is_new_with_few_calls(
    read: AccountSync, ada: Membership, simulator: Simulator
) -> None:
    """R-7: running ones first, then pages until one brings nothing new."""
    ended = Instance.objects.filter(status="in_progress").order_by("started_at").first()
    simulator.set_instance(str(ended.pk), workflow_status="Completed")
    simulator.add_data(instances=2)
    simulator.clear_ledger()
    assert passes.read_account(ada.account) is Outcome.WHOLE
    ended.refresh_from_db()
    assert ended.status == "completed"
    assert Instance.objects.count() == everything(simulator)
    assert pages_asked(simulator) < everything(simulator) / PAGE
    read.refresh_from_db()
    assert read.recent_at > read.full_at


@pytest.mark.parametrize("refusal", ["refused", "ignored"])
def test_a_filter_that_is_not_heeded_costs_no_truth(
    refusal: str, read: AccountSync, ada: Membership, simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The filters are not documented well enough to be relied upon."""
    ended = Instance.objects.filter(status="in_progress").order_by("started_at").first()
    simulator.set_instance(str(ended.pk), workflow_status="Failed")
    if refusal == "ignored":
        monkeypatch.setattr(account_lists, "RUNNING_FILTER", None)
    else:
        rule = {"match": LIST | {"times": 1}, "do": {"status": 400, "body": {"message": "The status is not valid."}}}
        simulator.set_faults([rule])
    assert passes.read_account(ada.account) is Outcome.WHOLE
    ended.refresh_from_db()
    assert ended.status == "failed"


def test_a_budget_that_ends_pauses_the_pass_and_is_no_outage(ada: Membership, simulator: Simulator) -> None:
    """R-5: the cursor stays, nothing is called failed, and nobody asks before the time."""
    limit = {"errorCode": "HOURLY_APIINVOCATION_LIMIT_EXCEEDED", "message": "The hourly limit is 3000."}
    stop = at_page(2, fail(simulator, status=429, body=limit, headers={"Retry-After": "60"}))
    assert passes.read_account(ada.account, heard=stop) is Outcome.WAITS
    row = AccountSync.objects.get()
    assert (row.error, row.failed_at, row.pages) == ("", None, 2)
    assert row.not_before > timezone.now() + timedelta(seconds=50)
    account = Account.objects.get()
    assert not due.is_account_due(account, timezone.now())
    simulator.set_faults([])
    with time_machine.travel(timezone.now() + timedelta(seconds=90)):
        assert due.is_account_due(Account.objects.get(), timezone.now())
        assert passes.read_account(ada.account) is Outcome.WHOLE
    assert AccountSync.objects.get().rows == everything(simulator)


@pytest.mark.parametrize("minutes", [-5, 5])
def test_a_clock_that_is_wrong_by_five_minutes_breaks_no_pass(
    minutes: int, ada: Membership, simulator: Simulator
) -> None:
    """O-13: our clock is compared with our own notes only."""
    with time_machine.travel(timezone.now() + timedelta(minutes=minutes)):
        assert passes.read_account(ada.account) is Outcome.WHOLE
        assert passes.read_account(ada.account, wants_full=True) is Outcome.WHOLE
        assert not Instance.objects.exclude(missing_since=None).exists()
    assert Instance.objects.count() == everything(simulator)


def test_a_manager_who_is_demoted_in_mid_pass_makes_nothing_missing(ada: Membership, simulator: Simulator) -> None:
    """V-2, R-10: half the rows stopped coming because of the rights, not because they are gone."""
    assert passes.read_account(ada.account) is Outcome.WHOLE
    demote = at_page(1, lambda: simulator.set_level("Ada Admin", "prepare"))
    passes.read_account(ada.account, wants_full=True, heard=demote)
    others = Instance.objects.exclude(started_by=ada.user.sub)
    assert others.exists()
    assert not others.exclude(missing_since=None).exists()


def test_the_reading_of_a_manager_widens_nobody(ada: Membership, connect: Connect, simulator: Simulator) -> None:
    """V-5: Ada's token fills the mirror; Pia sees what her own token proved, and her lists are as fresh as Ada's reading."""
    pia = connect("Pia Preparer")
    assert passes.read_account(ada.account) is Outcome.WHOLE
    assert shown(pia) == set()
    simulator.clear_ledger()
    assert sync.sync_membership(pia, is_background=True)
    assert shown(pia) == at_docusign(simulator, pia, MAIN_ACCOUNT_ID)
    assert pages_asked(simulator) == 1  # whether she manages; her rows are there already
    assert due.freshness_of(Membership.objects.get(pk=pia.pk)) == AccountSync.objects.get().recent_at


def test_a_reader_who_sees_less_covers_only_themselves(connect: Connect, simulator: Simulator) -> None:
    """V-1: a manager is not told that a preparer's reading is theirs."""
    pia = connect("Pia Preparer", rights=Rights.OWN)
    assert passes.read_account(pia.account) is Outcome.WHOLE
    ada = connect("Ada Admin", rights=Rights.MANAGE)
    assert not due.is_covered(ada)
    Membership.objects.filter(pk=ada.pk).update(may_sync=False)
    assert reader_of(ada.account) == pia
    assert sync.sync_membership(ada)
    assert shown(ada) == at_docusign(simulator, ada, MAIN_ACCOUNT_ID)


def test_nobody_whom_docusign_shows_nothing_reads_for_others(connect: Connect) -> None:
    vic = connect("Vic Viewer", rights=Rights.NONE)
    assert reader_of(vic.account) is None
    assert due.due_accounts() == []
    assert passes.read_account(vic.account) is Outcome.FAILED


def test_rights_that_end_in_mid_session_hide_everything_at_once(
    ada: Membership, connect: Connect, simulator: Simulator
) -> None:
    """V-6: the shared mirror stays, the person sees nothing of it."""
    olu = connect("Olu Operator")
    assert passes.read_account(ada.account) is Outcome.WHOLE
    assert sync.sync_membership(olu)
    assert shown(olu)
    simulator.set_level("Olu Operator", "none")
    assert sync.sync_membership(olu)
    assert shown(olu) == set()
    assert not visibility.visible_workflows(olu).exists()
    assert Instance.objects.exists()


def test_a_triggered_instance_that_the_lists_lag_behind_is_not_called_missing(
    read: AccountSync, ada: Membership, simulator: Simulator
) -> None:
    """U-6: Docusign's lists come a little later than its answers."""
    row = Instance.objects.first()
    Instance.objects.filter(pk=row.pk).update(
        is_from_here=True, first_seen_at=timezone.now() - timedelta(seconds=5), synced_at=timezone.now()
    )
    others = [{"id": str(each.pk)} for each in Instance.objects.exclude(pk=row.pk)]
    simulator.set_faults([{"match": LIST, "do": {"body": {"instances": others}}}])
    assert passes.read_account(ada.account, wants_full=True) is Outcome.WHOLE
    row.refresh_from_db()
    assert row.missing_since is None


def test_a_reader_who_is_refused_in_mid_pass_is_trusted_no_more(ada: Membership, simulator: Simulator) -> None:
    """V-6: a 403 takes the older proof away at once, and what was read stays."""
    assert passes.read_account(ada.account, heard=at_page(2, fail(simulator, status=403))) is Outcome.FAILED
    ada.refresh_from_db()
    assert ada.rights_proven_at is None
    assert visibility.view_of(ada).scope == "own"
    assert Instance.objects.count() == 2 * PAGE


@pytest.fixture(autouse=True)
def _clean_faults(simulator: Simulator) -> Iterator[None]:
    yield
    simulator.set_faults([])
