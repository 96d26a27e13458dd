"""Workers that are killed for real in the middle of reading an account."""

import json
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from maestro_api.simulator import MAIN_ACCOUNT_ID, Simulator, SimulatorServer
from tests.services.file_console import FileConsole, until

pytestmark = [pytest.mark.processes, pytest.mark.timeout(180)]
PREPARE = """
from tests.factories import AccountFactory, person, sealed_tokens
pair = json.loads(sys.argv[1])
membership = person(AccountFactory(id=sys.argv[2]), Role.OPERATOR, sub=pair["user_id"], name="Ada Admin")
sealed_tokens(membership.user.connection, access=pair["access_token"], refresh=pair["refresh_token"])
"""
READ = """
from dashboard.services import account_lists, passes
account_lists.PAGE_SIZE = 50
AccountSync.objects.update(lease_until=None)  # as if the lease of the dead worker had run out
print(passes.read_account(Account.objects.get()).name)
"""


@pytest.fixture
def console(tmp_path: Path) -> Iterator[FileConsole]:
    server = SimulatorServer(Simulator(seed=1, workflows=12, instances=1000, latency_ms=150), port=0)
    server.sim.world.settings.moving = False
    server.start()
    made = FileConsole(tmp_path, server)
    made.run(PREPARE, json.dumps(server.sim.token("Ada Admin")), MAIN_ACCOUNT_ID)
    yield made
    server.stop()


def pages(console: FileConsole) -> int:
    rows = console.rows("SELECT pages FROM dashboard_accountsync")
    return int(str(rows[0][0])) if rows else 0


def test_a_worker_killed_in_the_middle_of_a_pass_loses_one_page_at_most(console: FileConsole) -> None:
    """R-10, U-9: kill -9 three times; whoever comes next goes on, and the mirror ends complete with nothing asked twice over."""
    assert console.simulator is not None
    sim = console.simulator.sim
    sim.clear_ledger()
    for number in (3, 8, 13):
        worker = console.start(READ)
        try:
            until(lambda least=number: pages(console) >= least, seconds=60)
        finally:
            worker.send_signal(signal.SIGKILL)
            worker.communicate()
    assert console.rows("SELECT kind, full_at FROM dashboard_accountsync") == [("full", None)]
    assert console.run(READ) == "WHOLE"
    total = len(sim.world.instances.by_account[MAIN_ACCOUNT_ID])
    assert console.rows("SELECT COUNT(*), COUNT(missing_since) FROM dashboard_instance") == [(total, 0)]
    asked = sum(entry["path"].endswith("/workflow-instances") for entry in sim.ledger())
    kills, questions = 3, 2  # each killed worker lost a page; whether the list exists and shows all is asked beside
    assert asked <= -(-total // 50) + kills + questions
    [(counted,)] = console.rows("SELECT SUM(rows) FROM dashboard_instancecount WHERE started_by = '*'")
    assert counted == total


def test_two_processes_at_once_read_an_account_once(console: FileConsole) -> None:
    """U-9: the claim is one update, also between processes."""
    code = READ.replace("AccountSync.objects.update(lease_until=None)", "pass")
    first, second = console.start(code), console.start(code)
    said = sorted(process.communicate(timeout=120)[0].strip() for process in (first, second))
    assert said[1] == "WHOLE"
    assert said[0] in ("BUSY", "WHOLE")  # the slower one may come when all is done
    assert console.simulator is not None
    total = len(console.simulator.sim.world.instances.by_account[MAIN_ACCOUNT_ID])
    assert console.rows("SELECT COUNT(*) FROM dashboard_instance") == [(total,)]
