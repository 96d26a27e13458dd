"""Which way the database takes to the rows of the list: for each single filter under each order, by its own account of it."""

import random
import re
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.apps import apps
from django.db import connection
from django.db.models.lookups import Exact
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from dashboard.models import Instance, InstanceDenial, InstanceState, Membership, Rights, Role, Workflow, bucket_of
from dashboard.services import audit_lists, findable, instance_lists, suggestions, table_statistics, tallies
from dashboard.services.audit_lists import AuditSearch
from dashboard.services.conditions import Loose
from dashboard.services.instance_lists import ORDERS, Search
from tests.factories import AccountFactory, WorkflowFactory, person

pytestmark = pytest.mark.django_db
ROWS, OWN = 1_500, 60
QUERIES = 13


@pytest.fixture(params=["analyzed", "never analyzed"])
def people(db: None, request: pytest.FixtureRequest) -> dict[str, Membership]:
    """An admin, and somebody with a few rows of many; SQLite has no statistics until the worker first makes some."""
    is_analyzed = request.param == "analyzed"
    if connection.vendor == "postgresql" and not is_analyzed:
        pytest.skip("PostgreSQL makes its statistics itself")
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:  # making the rows takes long on a busy machine
            cursor.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
    dice, now = random.Random(5), timezone.now()
    account = AccountFactory()
    workflows = [WorkflowFactory(account=account) for _ in range(8)]
    found = {"admin": person(account, Role.ADMIN), "pia": person(account, Role.OPERATOR, rights=Rights.OWN)}
    pia = found["pia"].user
    rows = []
    for number in range(ROWS):
        status = dice.choices(list(InstanceState), (1, 5, 80, 4, 4, 1, 1, 1))[0]
        started = now - timedelta(days=dice.random() * 900)
        starter, name = (
            (pia.sub, pia.name) if number % (ROWS // OWN) == 0 else (f"id-{number % 40}", f"Person {number % 40}")
        )
        title = f"Supplier {dice.choice(('Lindqvist', 'Novak'))} {number}"
        rows.append(
            Instance(
                id=uuid.UUID(int=dice.getrandbits(128)), account=account, workflow=dice.choice(workflows), name=title,
                status=status, bucket=bucket_of(status), started_at=started, sort_at=started + timedelta(days=2),
                expires_at=started + timedelta(days=90), started_by=starter, started_by_name=name, last_completed_step=number % 8,
                name_order=findable.order_of(title), starter_order=findable.order_of(name), is_from_here=number % 9 == 0,
            )
        )  # fmt: skip
    Instance.objects.bulk_create(rows)
    findable.store_names(rows, [])
    tallies.note([], [tallies.standing_of(row) for row in rows])
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            if is_analyzed:
                table_statistics.refresh()
        else:
            # Our tables only: the catalogs that all databases of the cluster share would be locked until the test ends.
            cursor.execute(
                f"ANALYZE {', '.join(model._meta.db_table for model in apps.get_app_config('dashboard').get_models())}"
            )
            # It would rather read the whole of so small a table.
            for way in ("seqscan", "sort", "hashjoin", "mergejoin"):
                cursor.execute(f"SET LOCAL enable_{way} = off")
    return found


def single_filters() -> Iterator[Search]:
    now = timezone.now()
    workflow, starter = Workflow.objects.values_list("pk", flat=True)[3], "id-7"
    values: list[dict[str, Any]] = [
        {}, *({"state": key} for key, *_ in instance_lists.TABS), {"workflows": (workflow,)}, {"started_by": starter},
        {"started_from": now - timedelta(days=7)}, {"started_until": now - timedelta(days=400)},
        {"changed_from": now - timedelta(days=100)}, {"changed_until": now - timedelta(days=850)},
        {"expires_within": timedelta(days=30)}, {"steps_done": 7}, {"name": "lindqvist"}, {"name": "novak 77"},
        {"key": ("Supplier", "d" * 64)}, {"origin": "here"}, {"origin": "elsewhere"},
    ]  # fmt: skip
    for place, each in enumerate(values):
        for number, column in enumerate(
            ORDERS
        ):  # one index serves both directions, so each pair is asked in one of them
            yield Search(**each, sort=column if (place + number) % 2 else f"-{column}")


def scans_of(sql: str) -> list[str]:
    """Steps that read all instances."""
    if connection.vendor == "sqlite":
        return [step for step in plan_of(sql) if step.startswith("SCAN dashboard_instance") and "pieces" not in step]
    if '"dashboard_instancename"' in sql:  # half of so few rows hold a name, so reading all is shorter
        return []
    lines = plan_of(sql)
    return [
        line
        for line, after in zip(lines, [*lines[1:], ""], strict=True)
        if re.search(r"Scan.* on (dashboard_instance|inst_\w+|dashboard_instance_\w+)\b", line)
        and "Bitmap Heap Scan" not in line
        and "Index Cond:" not in after
    ]


def plan_of(sql: str) -> list[str]:
    """The steps of a statement, as the database tells them."""
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            cursor.execute(f"EXPLAIN QUERY PLAN {sql}")
            return [row[3] for row in cursor.fetchall()]
        cursor.execute(f"EXPLAIN (COSTS OFF) {sql}")
        return [row[0] for row in cursor.fetchall()]


@pytest.mark.timeout(300)
@pytest.mark.parametrize("are_many", [False, True], ids=["few rows", "many rows"])
@pytest.mark.parametrize("who", ["admin", "pia"])
def test_no_page_scans_the_table(
    who: str, are_many: bool, people: dict[str, Membership], monkeypatch: pytest.MonkeyPatch
) -> None:
    if are_many:  # as if every filter left more rows than are quickly sorted
        monkeypatch.setattr("dashboard.services.instance_queries.GATHERED", 20)
        monkeypatch.setattr("dashboard.services.instance_queries.STRIDE", 500)
    asked = set()
    searches = list(single_filters())
    if connection.vendor == "postgresql":  # a third of them each time: it takes longer over its plans
        searches = searches[(who == "pia") + are_many :: 3]
    for search in searches:
        with CaptureQueriesContext(connection) as captured:
            instance_lists.find_instances(people[who], search)
        asked |= {query["sql"] for query in captured.captured_queries if '"dashboard_instance"' in query["sql"]}
        if not are_many:
            assert len(captured) <= QUERIES, search
    assert {sql: found for sql in asked if (found := scans_of(sql))} == {}


@pytest.mark.skipif(connection.vendor != "sqlite", reason="PostgreSQL asks its index for all bounds")
@pytest.mark.parametrize("sort", ["-expires", "expires", "-started", "started"])
def test_a_walk_begins_where_the_last_one_was_given_up(
    sort: str, people: dict[str, Membership], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of two bounds on one side SQLite takes the first one, so the walk must be told only the nearer one."""
    monkeypatch.setattr("dashboard.services.instance_queries.GATHERED", 20)
    monkeypatch.setattr("dashboard.services.instance_queries.STRIDE", 50)
    until = {"changed_until": timezone.now() - timedelta(days=300)}
    with CaptureQueriesContext(connection) as captured:
        instance_lists.find_instances(people["admin"], Search(**until, sort=sort, size=5))
    walks = [query["sql"] for query in captured.captured_queries if re.search(r'"id"\) [<>]=? \(', query["sql"])]
    assert walks
    with connection.cursor() as cursor:
        for sql in walks:
            cursor.execute(f"EXPLAIN QUERY PLAN {sql}")
            assert "_at,id)" in cursor.fetchone()[3], sql


@pytest.mark.parametrize("who", ["admin", "pia"])
def test_the_rows_of_a_page_are_looked_up_one_by_one(who: str, people: dict[str, Membership]) -> None:
    """An account has a million rows, and each of them is of the account."""
    for search in (Search(), Search(name="lindqvist"), Search(state="completed")):
        with CaptureQueriesContext(connection) as captured:
            instance_lists.find_instances(people[who], search)
        [sql] = [query["sql"] for query in captured.captured_queries if '"total_steps"' in query["sql"]]
        ways = [step for step in plan_of(sql) if "inst_" in step or "_instance_" in step]
        wanted = "autoindex_dashboard_instance_1" if connection.vendor == "sqlite" else "dashboard_instance_pkey"
        assert len(ways) == 1, ways
        assert wanted in ways[0]


def test_what_started_lately_is_put_in_order_of_progress_within_one_index(
    people: dict[str, Membership], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tens of thousands started in a week; their rows lie all over the table, and so do those that a walk would look at."""
    monkeypatch.setattr("dashboard.services.instance_queries.GATHERED", 20)
    search = Search(started_from=timezone.now() - timedelta(days=100), sort="-steps")
    with CaptureQueriesContext(connection) as captured:
        found = instance_lists.find_instances(people["admin"], search).page.rows
    asked = [query["sql"] for query in captured.captured_queries if '"dashboard_instance"' in query["sql"]]
    steps = [step for sql in asked if '"id" IN (' not in sql for step in plan_of(sql) if "inst_" in step]
    assert len(found) == search.size
    assert len(steps) >= 2
    assert {step for step in steps if "inst_started_step" not in step} == set()


@pytest.mark.parametrize("who", ["admin", "pia"])
def test_no_page_asks_the_same_twice(who: str, people: dict[str, Membership]) -> None:
    for search in list(single_filters())[:: 3 if connection.vendor == "postgresql" else 1]:
        with CaptureQueriesContext(connection) as captured:
            instance_lists.find_instances(people[who], search)
        asked = Counter(query["sql"] for query in captured.captured_queries)
        assert [sql for sql, times in asked.items() if times > 1] == [], search


def test_all_suggested_people_are_found_by_one_statement(people: dict[str, Membership]) -> None:
    """Where every row counts; the name of each comes from the index that has the rows of a person in order."""
    with CaptureQueriesContext(connection) as captured:
        found = suggestions.suggest_starters(people["admin"], "person")
    [sql] = [query["sql"] for query in captured.captured_queries if "dashboard_instance " in query["sql"]]
    assert len(found) == suggestions.SUGGESTED
    assert sum("inst_by_changed" in step for step in plan_of(sql)) == 1
    assert scans_of(sql) == []


def test_who_is_denied_a_row_is_suggested_the_same_people(people: dict[str, Membership]) -> None:
    found = suggestions.suggest_starters(people["admin"], "person")
    denied = Instance.objects.filter(started_by="id-39").order_by("pk")[0]
    InstanceDenial.objects.create(user=people["admin"].user, instance=denied, denied_at=timezone.now())
    assert suggestions.suggest_starters(people["admin"], "person") == found


def test_of_each_person_one_row_is_read(people: dict[str, Membership]) -> None:
    """By the index that has the rows of a person in order: some started a hundred thousand."""
    asked = [(f"id-{number}", Exact(Loose("starter_order"), f"person {number}")) for number in range(1, 20)]
    with CaptureQueriesContext(connection) as captured:
        found = list(suggestions.first_rows(people["admin"], asked))
    [sql] = [query["sql"] for query in captured.captured_queries if '"dashboard_instance"' in query["sql"]]
    steps = [step for step in plan_of(sql) if "inst_" in step and " u0" in step.lower()]
    assert len(found) == len(asked)
    assert sum("inst_by_changed" in step for step in steps) == len(steps) == len(asked), steps


@pytest.mark.parametrize("who", ["admin", "pia"])
def test_what_was_done_is_found_by_indexes(who: str, people: dict[str, Membership]) -> None:
    """A-6: among a million entries, of which a handful is about something or of somebody. The account's first page is the account."""
    reader = people[who]
    reader.role = Role.ADMIN
    steps = {
        "about": steps_of(
            lambda: audit_lists.find_entries(reader, AuditSearch(about=ABOUT, who="7", deed="test.deed"))
        ),
        "choices": steps_of(lambda: audit_lists.choices_of(reader)),
        "page": steps_of(lambda: audit_lists.find_entries(reader, AuditSearch())),
    }
    assert not [step for part in steps.values() for step in part if "Seq Scan on dashboard_auditentry" in step], steps
    if connection.vendor == "postgresql":
        return  # one index is as good as another while there is no entry
    assert [re.findall(r" AND (\w+)", step) for step in steps["about"]] == [
        ["object_id"],
        ["workflow_id"],
        ["operation_id"],
    ]
    if who == "pia":
        own = [["actor_sub"], ["started_by"], *[["object_type"]] * 6]
        assert [re.findall(r" AND (\w+)", step) for step in steps["page"]] == own
        assert [re.findall(r" AND (\w+)", step) for step in steps["choices"]] == own
    else:
        assert all("COVERING" in step or "actor_id=?" in step for step in steps["choices"]), steps["choices"]


ABOUT = str(uuid.UUID(int=7))


def steps_of(deed: Callable[[], object]) -> list[str]:
    """How the audit's entries are reached."""
    with CaptureQueriesContext(connection) as captured:
        deed()
    asked = [query["sql"] for query in captured.captured_queries if "dashboard_auditentry" in query["sql"]]
    return [step for sql in asked for step in plan_of(sql) if "dashboard_auditentry" in step]
