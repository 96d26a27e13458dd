"""The list of instances against a naive reading of the same rows: every filter, every order, every page, forth and back."""

import random
import uuid
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dashboard.models import (
    RUNNING_STATES,
    Instance,
    InstanceDenial,
    InstanceKey,
    InstanceState,
    KeyInput,
    Membership,
    Rights,
    Role,
    Workflow,
    WorkflowAccess,
    bucket_of,
)
from dashboard.services import findable, instance_lists, tallies, visibility
from dashboard.services.instance_lists import ORDERS, Search
from dashboard.services.lists import write_cursor
from tests.factories import AccountFactory, WorkflowFactory, lists, person

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 5, 4, 12, tzinfo=UTC)
SOME_ID = "5eed0000-0000-4000-8000-000000000001"  # the same in every process that collects the tests
NAMES = (
    "NDA Lindqvist", "nda lindqvist", "Straße 7", "100% \"done\"", "a_b OR c*", "", "Zoë 🎉🎉🎉 party", "ab", "O'Brien -- x",
    "İstanbul", "long " * 40 + "end",
)  # fmt: skip
EVERY = settings(
    max_examples=5, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


class World:
    """A few hundred rows with ties, gaps and odd names, and people who see all, some or few of them."""

    def __init__(self) -> None:
        dice = random.Random(11)
        self.account = AccountFactory()
        elsewhere = WorkflowFactory(account=AccountFactory())
        self.workflows = [
            WorkflowFactory(account=self.account, name=name) for name in ("beta", "Alpha", "ALPHA", "gamma")
        ]
        self.people = {
            "manager": person(self.account, Role.ADMIN),
            "owner": person(self.account, Role.OPERATOR, rights=Rights.OWN),
            "guest": person(self.account, Role.OPERATOR, rights=Rights.OWN),
        }
        starters = [(each.user.sub, each.user.name) for each in self.people.values()] + [("", ""), ("x-1", "Émile")]
        rows = [_row(dice, dice.choice(self.workflows), *dice.choice(starters)) for _ in range(150)]
        rows += [_row(dice, elsewhere, *dice.choice(starters)) for _ in range(20)]
        Instance.objects.bulk_create(rows)
        findable.store_names(rows, [])
        tallies.note([], [tallies.standing_of(row) for row in rows])
        self.rows = list(Instance.objects.select_related("workflow"))
        guest = self.people["guest"]
        lists(guest, self.workflows[0], self.workflows[3])
        WorkflowAccess.objects.filter(user=guest.user, workflow=self.workflows[3]).update(
            others_proven_at=timezone.now()
        )
        for row in self.rows[:5]:
            InstanceDenial.objects.create(user=guest.user, instance=row, denied_at=timezone.now())
        key_input = KeyInput.objects.create(workflow=self.workflows[1], name="Supplier")
        self.keyed = {row.pk for row in self.rows if row.workflow_id == self.workflows[1].pk and dice.random() < 0.3}
        InstanceKey.objects.bulk_create(
            InstanceKey(key_input=key_input, instance_id=pk, digest="d" * 64) for pk in self.keyed
        )

    def seen(self, who: str, search: Search) -> list[Instance]:
        """What the rule says, row by row."""
        mine = set(visibility.visible_instances(self.people[who]).values_list("pk", flat=True))
        return [row for row in self.rows if row.pk in mine and _matches(row, search, self.keyed)]


def _row(dice: random.Random, workflow: Workflow, starter: str, starter_name: str) -> Instance:
    def moment() -> datetime | None:
        return None if dice.random() < 0.2 else NOW + timedelta(days=dice.randrange(-12, 12))

    status, name = dice.choice(list(InstanceState)), dice.choice(NAMES)
    return Instance(
        id=uuid.UUID(int=dice.getrandbits(128)), account_id=workflow.account_id, workflow=workflow, name=name, full_name=name,
        status=status, bucket=bucket_of(status), started_at=moment(), started_by=starter, started_by_name=starter_name,
        last_modified_at=NOW, sort_at=moment() or NOW, expires_at=moment(), total_steps=7,
        last_completed_step=dice.choice([None, 0, 3, 3, 7]), name_order=findable.order_of(name),
        starter_order=findable.order_of(starter_name), is_from_here=dice.random() < 0.4,
    )  # fmt: skip


def _matches(row: Instance, search: Search, keyed: set[uuid.UUID]) -> bool:
    def within(value: datetime | None, since: datetime | None, until: datetime | None) -> bool:
        if since is None and until is None:
            return True
        return value is not None and (since is None or value >= since) and (until is None or value < until)

    is_running = row.status in RUNNING_STATES
    soon = timezone.now() + timedelta(days=7)
    is_in_tab = search.state == "all" or bucket_of(row.status) == search.state
    if search.state == "expiring":
        is_in_tab = is_running and row.expires_at is not None and row.expires_at <= soon
    return all(
        (
            is_in_tab,
            not search.name or search.name.casefold() in row.name.casefold() or search.name == str(row.pk),
            not search.workflows or row.workflow_id in search.workflows,
            not search.started_by or row.started_by == search.started_by,
            within(row.started_at, search.started_from, search.started_until),
            within(row.sort_at, search.changed_from, search.changed_until),
            search.expires_within is None
            or (is_running and row.expires_at is not None and row.expires_at <= timezone.now() + search.expires_within),
            search.steps_done is None
            or (row.last_completed_step is not None and row.last_completed_step >= search.steps_done),
            search.key is None or row.pk in keyed,
            not search.origin or row.is_from_here == (search.origin == "here"),
        )
    )


@pytest.fixture
def world(db: None) -> World:
    return World()


def pages(membership: Membership, search: Search, **changes: Any) -> Iterable[list[uuid.UUID]]:
    """All pages from the first to the last, and that reading back gives the same ones."""
    forth, place, last = [], search, None
    while True:
        last = instance_lists.find_instances(membership, place).page
        forth.append([row.pk for row in last.rows])
        if last.older is None:
            break
        place = with_place(search, after=last.older)
        assert len(forth) < 200
    back, page = [forth[-1]], last
    while page.newer is not None:
        page = instance_lists.find_instances(membership, with_place(search, before=page.newer)).page
        back.append([row.pk for row in page.rows])
    assert back[::-1] == forth or [pk for each in back[::-1] for pk in each] == [pk for each in forth for pk in each]
    return forth


def with_place(search: Search, **place: str) -> Search:
    values = {name: getattr(search, name) for name in Search.__slots__} | {"after": "", "before": ""} | place
    return Search(**values)


def searches(world: World) -> st.SearchStrategy[Search]:
    moments = st.none() | st.sampled_from([NOW + timedelta(days=day) for day in (-30, -5, 0, 5, 30)])
    starters = [row.started_by for row in world.rows[:40]] + [world.people["guest"].user.sub.upper()]
    filters = {
        "name": st.sampled_from(["", "lind", "NDA", "STRASSE", "00%", '"do', "b OR", "🎉🎉", "🎉🎉🎉", "b", "o'br", "end", "i̇s", "*"]),
        "workflows": st.lists(st.sampled_from([each.pk for each in world.workflows]), max_size=2, unique=True).map(tuple),
        "started_by": st.sampled_from(["", *starters]),
        "started_from": moments, "started_until": moments, "changed_from": moments, "changed_until": moments,
        "expires_within": st.none() | st.sampled_from([timedelta(days=day) for day in (1, 400, 9000)]),
        "steps_done": st.none() | st.sampled_from([0, 3, 9]),
        "key": st.sampled_from([None, ("Supplier", "d" * 64)]),
        "origin": st.sampled_from(["", "here", "elsewhere"]),
    }  # fmt: skip
    few = st.lists(st.sampled_from(sorted(filters)), max_size=2, unique=True)
    chosen = few.flatmap(lambda names: st.fixed_dictionaries({name: filters[name] for name in names}))
    tabs = st.sampled_from([key for key, *_ in instance_lists.TABS] + ["all"] * 3)
    sorts = st.sampled_from([sign + column for column in ORDERS for sign in ("", "-")])
    return st.builds(
        lambda kept, state, sort, size: Search(**kept, state=state, sort=sort, size=size),
        chosen, tabs, sorts, st.sampled_from([31, 100]),
    )  # fmt: skip


@pytest.mark.parametrize("way", ["gathering", "walking"])
@pytest.mark.parametrize("who", ["manager", "owner", "guest"])
def test_every_question_gives_the_rows_of_a_naive_reading_in_order(
    who: str, way: str, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """V-1, V-3: whichever way is taken, for rows, order and counts."""
    if way == "walking":
        monkeypatch.setattr("dashboard.services.instance_queries.GATHERED", 3)
        monkeypatch.setattr("dashboard.services.instance_queries.STRIDE", 40)

    @EVERY
    @given(search=searches(world))
    def check(search: Search) -> None:
        membership = world.people[who]
        expected = world.seen(who, Search(**{name: getattr(search, name) for name in Search.__slots__}))
        found = [pk for page in pages(membership, search) for pk in page]
        assert len(found) == len(expected)
        assert set(found) == {row.pk for row in expected}
        assert found == sorted_as(search.sort, found)
        tabs = instance_lists.find_instances(membership, search).tabs
        for tab in tabs:
            if tab.count is not None:
                values = {name: getattr(search, name) for name in Search.__slots__} | {"state": tab.key}
                assert tab.count == len(world.seen(who, Search(**values))), tab.key
        assert instance_lists.count_instances(membership, search) == len(expected)

    check()


def sorted_as(sort: str, found: list[uuid.UUID]) -> list[uuid.UUID]:
    """The same rows in order: by the database where texts are compared, which collates as it does."""
    rows = Instance.objects.filter(pk__in=found).select_related("workflow")
    column, is_descending = sort.removeprefix("-"), sort.startswith("-")
    if column in ("name", "by"):
        names = [*ORDERS[column], "id"]
        return list(
            rows.order_by(*(f"{'-' if is_descending else ''}{name}" for name in names)).values_list("pk", flat=True)
        )
    newest = sorted(rows, key=lambda row: (row.sort_at, row.pk.hex), reverse=True)
    if column == "workflow":
        newest.sort(key=lambda row: (row.workflow.name.casefold(), row.workflow_id.hex), reverse=is_descending)
    elif column == "state":
        newest.sort(key=lambda row: STATES.index(row.status), reverse=is_descending)
    else:
        name = ORDERS[column][0]
        newest = sorted(rows, key=lambda row: row.pk.hex, reverse=is_descending)
        newest.sort(key=lambda row: getattr(row, name) or LEAST[name], reverse=is_descending)
        newest.sort(key=lambda row: getattr(row, name) is None)
    return [row.pk for row in newest]


LEAST: dict[str, Any] = {"started_at": NOW, "expires_at": NOW, "sort_at": NOW, "last_completed_step": 0}
STATES = ["created", "in_progress", "paused", "failed", "completed", "canceled", "expired", "unknown"]


@pytest.mark.parametrize("sort", ["-changed", "name", "-expires", "workflow", "-state", "steps", "by"])
def test_every_row_comes_once_in_batches(sort: str, world: World) -> None:
    batches = list(instance_lists.iter_instances(world.people["guest"], Search(sort=sort), batch=9))
    found = [row.pk for batch in batches for row in batch]
    assert all(len(batch) == 9 for batch in batches[:-1])
    assert len(found) == len(set(found)) == len(world.seen("guest", Search()))
    assert found == sorted_as(sort, found)


@pytest.mark.parametrize(
    "cursor",
    [
        "x", "é", "bnVsbA", "W10", write_cursor(["x"]), write_cursor([1, 2, 3]), write_cursor([NOW, "no id"]),
        write_cursor([2**80, SOME_ID]), write_cursor(["\0", SOME_ID]), write_cursor([NOW, SOME_ID], "gone"),
        "W1tdXQ", "WyIiLCB7ImF0IjogMX0sIDFd",
    ],
)  # fmt: skip
def test_a_cursor_that_cannot_be_read_gives_the_first_page(cursor: str, world: World) -> None:
    for sort in ("-changed", "name", "steps", "workflow", "state", "by", "expires"):
        first = instance_lists.find_instances(world.people["manager"], Search(sort=sort)).page
        for place in ({"after": cursor}, {"before": cursor}):
            again = instance_lists.find_instances(world.people["manager"], Search(sort=sort, **place)).page
            assert again.rows == first.rows


def test_a_whole_id_finds_its_row_and_a_name_of_two_letters_too(world: World) -> None:
    row = world.rows[3]
    manager = next(each for each in world.people.values() if each.account_id == world.account.pk)
    expected = [row] if row.account_id == world.account.pk else []
    assert instance_lists.find_instances(manager, Search(name=str(row.pk))).page.rows == expected
    names = {each.name for each in instance_lists.find_instances(manager, Search(name="ab", size=100)).page.rows}
    assert names == {"ab"}


def test_a_name_with_nul_finds_nothing(world: World) -> None:
    assert instance_lists.find_instances(world.people["manager"], Search(name="NDA\0")).page.rows == []


def test_starters_are_suggested_only_to_people_who_see_their_rows(world: World) -> None:
    """V-3: suggestions leak nobody."""
    for who, membership in world.people.items():
        seen = {(row.started_by, row.started_by_name) for row in world.seen(who, Search()) if row.started_by}
        suggested = instance_lists.suggest_starters(membership, "")
        assert {(each.id, each.name) for each in suggested} == seen, who
    assert [each.name for each in instance_lists.suggest_starters(world.people["manager"], "ÉMI")] == ["Émile"]
    assert instance_lists.suggest_starters(world.people["owner"], "Émi") == []


def test_workflows_are_suggested_only_to_people_to_whom_docusign_listed_them(world: World) -> None:
    """V-3."""
    assert instance_lists.suggest_workflows(world.people["manager"], "alpha") == []
    assert [row.name for row in instance_lists.suggest_workflows(world.people["guest"], "A")] == ["beta", "gamma"]


def test_a_workflow_of_another_account_narrows_to_nothing(world: World) -> None:
    """V-1, V-3: neither rows nor counts of it."""
    foreign = Workflow.objects.exclude(account=world.account).get()
    found = instance_lists.find_instances(world.people["manager"], Search(workflows=(foreign.pk,), sort="workflow"))
    assert found.page.rows == []
    assert {tab.count for tab in found.tabs} == {0}


def test_whom_docusign_shows_nothing_sees_no_rows_counts_or_suggestions(world: World) -> None:
    """V-6: it fails closed."""
    owner = world.people["owner"]
    owner.rights = Rights.NONE
    found = instance_lists.find_instances(owner, Search())
    assert (found.page.rows, {tab.count for tab in found.tabs}) == ([], {0})
    assert instance_lists.count_instances(owner, Search(state="failed")) == 0
    assert instance_lists.suggest_starters(owner, "") == []
