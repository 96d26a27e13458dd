"""The same work on each engine of the queue, with its real server, real workers and kill -9; `make test` runs it on both databases."""

from collections.abc import Iterator

import pytest

from maestro_api.simulator import MAIN_ACCOUNT_ID
from tests.engines import ENGINES, own_store, server_of
from tests.services.bulk_console import BulkConsole
from tests.services.file_console import TRIGGER, until
from tests.services.test_killed import PLANNED

pytestmark = [pytest.mark.processes, pytest.mark.engines, pytest.mark.timeout(300)]
ROWS = 12
SINGLE_STATES = (
    "SELECT state FROM dashboard_operation o "
    "WHERE NOT EXISTS (SELECT 1 FROM dashboard_batchitem i WHERE i.operation_id = o.id)"
)
# As minutes later: what the dead had taken, and what was in their queue, is taken anew.
LEASES_HAVE_ENDED = (
    "UPDATE dashboard_accountsync SET lease_until = NULL, queued_at = NULL",
    "UPDATE dashboard_membership SET sync_lease_until = NULL, sync_queued_at = NULL",
)


@pytest.fixture(scope="module", params=[engine for engine in ENGINES if engine != "sqlite"])
def server(request: pytest.FixtureRequest) -> Iterator[str]:
    """Each engine in turn; the other tests of workers run on the one that needs no server."""
    with server_of(request.param) as url:
        yield url


@pytest.fixture(scope="module")
def console(server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[BulkConsole]:
    folder = tmp_path_factory.mktemp("engine")
    made = BulkConsole(folder, rate=8, latency_ms=20, queue_url=own_store(server, folder))
    yield made
    made.close()


@pytest.fixture(autouse=True)
def _ends_alone(console: BulkConsole) -> Iterator[None]:
    """The next test begins without the workers and faults of this one."""
    console.server.sim.clear_ledger()
    yield
    console.server.sim.set_faults([])
    for worker in console.workers:
        if worker.poll() is None:
            console.end(worker)


def reads(console: BulkConsole) -> int:
    """How often an instance was read by itself, which only a job of the worker does here."""
    return sum("/instances/" in entry["path"] and entry["method"] == "GET" for entry in console.server.sim.ledger())


def lists(console: BulkConsole) -> int:
    return sum(entry["path"].endswith("/workflow-instances") for entry in console.server.sim.ledger())


def test_a_trigger_is_followed_by_its_job_and_sigterm_lets_a_call_end(console: BulkConsole) -> None:
    """U-10: a job reads the instance that was made, another sends what is planned, and SIGTERM lets that call end."""
    console.run(TRIGGER + PLANNED)
    console.server.sim.clear_ledger()
    console.server.sim.set_faults([{"match": {"path": "/actions/trigger"}, "do": {"latency_ms": 2000}}])
    worker = console.start_worker()
    until(lambda: reads(console) > 0 and len(console.posts()) == 1, seconds=90)
    assert console.end(worker) == 0
    assert console.rows(SINGLE_STATES) == [("confirmed",)]
    assert console.rows(f"SELECT worker FROM dashboard_heartbeat WHERE worker LIKE '%:{worker.pid}'") == []  # noqa: S608


def test_two_workers_share_a_run_and_one_is_killed(console: BulkConsole) -> None:
    """U-1, U-9: kill -9 in the middle of a slice; each row is made once, whichever engine carried the job."""
    console.start_run(ROWS)
    workers = [console.start_worker() for _ in range(2)]
    until(lambda: console.confirmed() >= 4 and console.holder() != "", seconds=90)
    holder = console.holder()
    console.kill(next((each for each in workers if str(each.pid) == holder), workers[0]))
    console.age()
    console.finish(seconds=90, is_hurried=True)
    assert console.made() == (ROWS, 0)
    assert console.states() == {"confirmed": ROWS}


def test_an_account_is_read_once_by_two_workers_and_to_its_end_after_both_were_killed(console: BulkConsole) -> None:
    """R-10, U-9: the reading is a job like others; kill -9 in the middle of it leaves nothing half."""
    console.change("DELETE FROM dashboard_accountsync")
    console.change("UPDATE dashboard_membership SET synced_at = NULL")
    console.server.sim.set_faults([{"match": {"path": "/workflow-instances"}, "do": {"latency_ms": 5000}}])
    workers = [console.start_worker() for _ in range(2)]
    until(lambda: lists(console) > 0, seconds=90)
    for worker in workers:
        console.kill(worker)
    assert lists(console) == 1
    assert console.rows("SELECT ended_at FROM dashboard_accountsync") == [(None,)]
    console.server.sim.set_faults([])
    for statement in LEASES_HAVE_ENDED:
        console.change(statement)
    console.start_worker()
    until(lambda: console.rows("SELECT 1 FROM dashboard_accountsync WHERE ended_at IS NOT NULL") != [], seconds=90)
    total = len(console.server.sim.world.instances.by_account[MAIN_ACCOUNT_ID])
    assert console.rows("SELECT COUNT(*), COUNT(missing_since) FROM dashboard_instance") == [(total, 0)]
