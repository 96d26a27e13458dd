"""What only a database with several writers at once can get wrong (D-4); run by `python -m tests.postgres pytest`."""

import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.db import OperationalError, ProgrammingError, close_old_connections, connection, transaction
from django.test import Client
from django.utils import timezone

from dashboard.models import (
    Account,
    AuditEntry,
    AuditHead,
    Connection,
    Instance,
    InstanceChange,
    Membership,
    Operation,
    OperationState,
)
from dashboard.queue import huey_for
from dashboard.services import actions, audit, edges, operations, sync, tokens
from dashboard.services.errors import StoreBusy
from dashboard.settings import DATABASES
from maestro_api.simulator import Simulator
from tests.connect_events import event, hook_for, send
from tests.services.conftest import new_key

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(connection.vendor != "postgresql", reason="about PostgreSQL: python -m tests.postgres pytest"),
    pytest.mark.timeout(300),
]
Posts = Callable[[], list[dict[str, Any]]]


def at_once(number: int, deed: Callable[[int], Any]) -> list[Any]:
    """What `number` threads got, each with a connection of its own; an exception is a result too."""
    results: list[Any] = [None] * number
    barrier = threading.Barrier(number)

    def run(place: int) -> None:
        try:
            barrier.wait(60)
            results[place] = deed(place)
        except Exception as error:  # noqa: BLE001  # the test looks at what each thread ended with
            results[place] = error
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=(place,)) for place in range(number)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    return results


@pytest.fixture
def limits_of_a_web_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """For what runs in `at_once`, on connections that are opened then; all others have the patience of tests."""
    monkeypatch.setitem(connection.settings_dict, "OPTIONS", DATABASES["default"]["OPTIONS"])


@pytest.fixture
def instance(ada: Membership, simulator: Simulator) -> Instance:
    """A running instance that holds still."""
    simulator.world.settings.moving = False
    found = Instance.objects.filter(status="in_progress").select_related("workflow").first()
    assert found is not None
    simulator.clear_ledger()
    return found


def cancel(instance: Instance, ada: Membership, key: str) -> Operation:
    return operations.cancel_instance(instance, actor=ada.user, membership=ada, reason="By mistake", key=key)


@pytest.mark.usefixtures("limits_of_a_web_process")
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("statement_timeout", "5s"),
        ("lock_timeout", "2s"),
        ("idle_in_transaction_session_timeout", "10s"),
        ("synchronous_commit", "on"),
        ("jit", "off"),
        ("max_parallel_workers_per_gather", "0"),
        ("transaction_isolation", "read committed"),
    ],
)
def test_no_session_may_hold_the_others_up_and_a_commit_is_on_disk(name: str, value: str) -> None:
    """D-4, D-2: the limits of a web process."""

    def show(place: int) -> tuple[str]:
        with connection.cursor() as cursor:
            cursor.execute(f"SHOW {name}")
            return cursor.fetchone()

    assert at_once(1, show) == [(value,)]


def test_a_statement_that_takes_no_parameters_gets_its_values_as_text() -> None:
    """Such as CREATE DATABASE, with which a backup is proven."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(" set local application_name to %s", ["it's a test"])
        cursor.execute("SHOW application_name")
        assert cursor.fetchone() == ("it's a test",)


def test_what_is_asked_again_and_again_is_prepared_unless_its_plan_hangs_on_the_values(account: Account) -> None:
    """An order by a rare state is planned for that state, not for any."""
    for _ in range(5):
        Account.objects.filter(pk=account.pk, name="Prepared").exists()
        list(Account.objects.filter(name="Sorted").order_by("name"))
        list(Account.objects.filter(name__contains="Searched"))
        Account.objects.filter(name="Counted").count()
        list(InstanceChange.objects.filter(instance_id=uuid4()).order_by("-observed_at")[:5])
    with connection.cursor() as cursor:
        cursor.execute("SELECT statement FROM pg_prepared_statements")
        prepared = [statement for (statement,) in cursor.fetchall()]
    accounts = [each for each in prepared if 'FROM "dashboard_account"' in each]
    assert any("LIMIT 1" in each for each in accounts)
    assert not [each for each in accounts if "ORDER BY" in each or "LIKE" in each or "COUNT(" in each]
    assert any('FROM "dashboard_instancechange"' in each and "ORDER BY" in each for each in prepared)


def test_more_values_than_the_protocol_takes_are_asked_for_all_the_same(account: Account) -> None:
    keys = [uuid4() for _ in range(70_000)]
    assert Account.objects.filter(pk__in=[*keys, account.pk]).get().name == account.name


def test_sixteen_writers_keep_one_chain() -> None:
    """A-4: the very first entry and all others come from sixteen sessions at the same time; no fork, no gap."""

    def write(place: int) -> None:
        for number in range(25):
            with transaction.atomic():
                audit.record("test.done", actor=None, account=None, reason=f"{place} {number}")

    AuditHead.objects.all().delete()
    assert at_once(16, write) == [None] * 16
    assert audit.verify_chain() == audit.ChainReport(True, 400)


def test_one_form_sent_eight_times_at_once_is_one_call(instance: Instance, ada: Membership, posts: Posts) -> None:
    """U-7: the key is unique in the database, so seven find the first result."""
    key = new_key()
    results = at_once(8, lambda place: cancel(instance, ada, key).pk)
    assert len(set(results)) == 1, results
    assert [post["path"].rsplit("/", 1)[1] for post in posts()] == ["cancel"]


def test_two_people_who_cancel_at_the_same_moment_send_one_call(
    instance: Instance, ada: Membership, posts: Posts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """U-6: both have looked and seen nothing open; the database refuses the second."""
    both_have_looked = threading.Barrier(2)
    seen: set[int] = set()
    look = actions.refuse_a_second

    def look_together(operation: Operation) -> None:
        look(operation)
        if threading.get_ident() not in seen:
            seen.add(threading.get_ident())
            both_have_looked.wait(60)

    monkeypatch.setattr(actions, "refuse_a_second", look_together)
    keys = [new_key(), new_key()]
    results = at_once(2, lambda place: cancel(instance, ada, keys[place]))
    assert sorted(type(result).__name__ for result in results) == ["Operation", "Refused"], results
    assert [post["path"].rsplit("/", 1)[1] for post in posts()] == ["cancel"]


def test_a_session_that_dies_in_a_claim_leaves_the_operation_to_the_next(
    instance: Instance, ada: Membership, monkeypatch: pytest.MonkeyPatch
) -> None:
    """D-4: the backend is ended between the claim and its commit; nothing is claimed, and the next try is whole."""
    operation = Operation.objects.create(
        key=new_key(),
        kind="cancel",
        account_id=instance.account_id,
        actor=ada.user,
        workflow=instance.workflow,
        instance=instance,
    )
    record = edges._audit

    def ended(*args: Any, **kwargs: Any) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_backend_pid()")
            [pid] = cursor.fetchone()
        assert at_once(1, lambda place: _end(pid)) == [True]
        record(*args, **kwargs)

    monkeypatch.setattr(edges, "_audit", ended)
    with pytest.raises(OperationalError):
        edges.claim_planned(operation)
    monkeypatch.setattr(edges, "_audit", record)
    close_old_connections()
    operation = Operation.objects.get()
    assert (operation.state, operation.fence, AuditEntry.objects.filter(operation_id=operation.pk).count()) == (
        *(OperationState.PLANNED, 0),
        0,
    )
    assert edges.claim_planned(operation)
    assert Operation.objects.get().state == OperationState.SENT


def _end(pid: int) -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s, 30000)", [pid])
        return bool(cursor.fetchone()[0])


def test_a_request_asks_a_connection_whether_it_lives_only_where_the_server_said_something() -> None:
    """A round trip less each; a server that ended the connection said so on it."""

    def begun() -> tuple[int, str]:
        """As a request begins: by which connection it is served, and what that was asked last before."""
        close_old_connections()
        connection.close_if_health_check_failed()
        connection.ensure_connection()
        assert connection.connection is not None
        pid = connection.connection.info.backend_pid
        [asked] = at_once(1, lambda place: _last_of(pid))
        with connection.cursor() as cursor:
            cursor.execute("SELECT 'mine'")
        return pid, asked

    first, _ = begun()
    assert begun() == (first, "SELECT 'mine'")
    assert at_once(1, lambda place: _end(first)) == [True]
    second, _ = begun()
    assert second != first
    with pytest.raises(ProgrammingError), connection.cursor() as cursor:
        cursor.execute("SELECT nothing")
    assert begun() == (second, "SELECT 1"), "after an error it is asked"


def only_the_limit_of_locks_ends_it() -> None:
    """For this connection: so a wait that ends early was ended by that one."""
    with connection.cursor() as cursor:
        cursor.execute("SET statement_timeout = '60s'")


def _last_of(pid: int) -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT query FROM pg_stat_activity WHERE pid = %s", [pid])
        return str(cursor.fetchone()[0])


@pytest.mark.usefixtures("limits_of_a_web_process")
def test_a_lock_that_somebody_holds_ends_in_an_answer(
    instance: Instance, ada: Membership, posts: Posts, signed_in: Callable[..., Client]
) -> None:
    """D-3: after two seconds, with nothing sent; pages are read meanwhile."""
    AuditHead.objects.get_or_create(pk=1)

    def try_it(place: int) -> tuple[str, int]:
        only_the_limit_of_locks_ends_it()
        started = timezone.now()
        with pytest.raises(StoreBusy, match="Nothing was sent"):
            cancel(instance, ada, new_key())
        assert timezone.now() - started < timedelta(seconds=30)
        return "refused", signed_in(ada).get("/instances/").status_code

    with transaction.atomic():
        AuditHead.objects.select_for_update().get(pk=1)
        assert at_once(1, try_it) == [("refused", 200)]
    assert posts() == []
    assert not Operation.objects.exists()


@pytest.mark.usefixtures("limits_of_a_web_process")
def test_an_event_waits_for_a_lock_no_longer_than_its_sender(account: Account) -> None:
    """W-4, D-3: Docusign is told to come again within its own patience of about five seconds."""
    hook = hook_for(account)
    message = event(account)

    def send_it(place: int) -> int:
        only_the_limit_of_locks_ends_it()
        return send(hook, message)

    began = timezone.now()
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("LOCK TABLE dashboard_delivery")
        assert at_once(1, send_it) == [503]
    assert timezone.now() - began < timedelta(seconds=30)
    assert send(hook, message) == 204


def test_an_expired_token_is_refreshed_once_by_eight_sessions(
    ada: Membership, simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """O-8: the lease and the compare-and-swap hold with real concurrent writers, five times."""
    monkeypatch.setattr(tokens, "WAIT_SECONDS", 60)  # a busy machine may hold up the one that all others wait for
    for _ in range(5):
        Connection.objects.update(access_expires_at=timezone.now() - timedelta(seconds=1))
        simulator.clear_ledger()
        results = at_once(8, lambda place: tokens.access_token(Connection.objects.get(user=ada.user)))
        assert len(set(map(str, results))) == 1, results
        assert sum(entry["path"] == "/oauth/token" for entry in simulator.ledger()) == 1


def test_the_queue_lives_in_postgresql_too() -> None:
    """The entry comes back once, to one worker."""
    settings = connection.settings_dict
    place = f"{settings['USER']}@{settings['HOST']}:{settings['PORT']}/{settings['NAME']}"
    huey = huey_for(f"postgres://{place}")
    task = huey.task(name="say")(lambda word: word)
    try:
        huey.enqueue(task.s("hello"))
        assert huey.storage.queue_size() == 1
        message = huey.dequeue()
        assert (message.args, huey.storage.queue_size()) == (("hello",), 0)
    finally:
        with connection.cursor() as cursor:
            cursor.execute("DROP TABLE huey_kv, huey_schedule, huey_task, huey_counter")
        huey.storage.close()


def test_a_name_that_no_index_entry_could_hold_is_stored(ada: Membership, simulator: Simulator) -> None:
    """Entries of an index end at 2.7 kB; whatever Docusign says of an instance must be kept all the same."""
    long = "ß漢" * 3_000
    pk = str(Instance.objects.filter(status="in_progress").values_list("pk", flat=True)[0])
    simulator.set_instance(pk, name=long, started_by_name=long, last_completed_step_name=long)
    assert sync.sync_membership(ada), ada.sync_error
    assert Instance.objects.get(pk=pk).full_name == long
