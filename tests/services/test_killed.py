"""Senders that are killed for real at each point of a trigger, and many at once with one form."""

import signal
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dashboard.services.timings import CLICK_DEADLINE_SECONDS
from maestro_api.simulator import Simulator, SimulatorServer
from tests.services.file_console import TRIGGER, FileConsole, until

pytestmark = [pytest.mark.processes, pytest.mark.timeout(300)]
SEND = TRIGGER + "\nprint(trigger('the-form').state)\n"
# The lease of the dead sender is over, and the worker looks.
RESCUE = """
from datetime import timedelta
from django.utils import timezone
import time_machine
now = timezone.now()
with time_machine.travel(now, tick=False) as clock:
    for second in range(0, 200, 5):
        clock.shift(5)
        operations.sweep()
        for row in operations.due():
            operations.settle_unknown(row)
"""

# A row that the worker is to send: as a decided re-send leaves it.
PLANNED = """
from dashboard import crypto
row = trigger('the-form')
sealed = crypto.seal(json.dumps(inputs_for(contract)), "operation", str(row.pk), "payload")
Operation.objects.filter(pk=row.pk).update(
    state='planned', next_check_at=None, instance=None, settled_at=None, sealed_payload=sealed
)
"""


@pytest.fixture
def console(tmp_path: Path) -> Iterator[FileConsole]:
    server = SimulatorServer(Simulator(seed=1, workflows=12, instances=10, latency_ms=0), port=0)
    server.start()
    made = FileConsole(tmp_path, server)
    made.prepare()
    yield made
    server.stop()


def made_at_docusign(console: FileConsole) -> int:
    world = console.simulator.sim.world
    return sum(name.startswith("NDA ·") for name in list(world.instances.names.values()))


def kill_when(console: FileConsole, is_time: Callable[[], bool]) -> None:
    sender = console.start(SEND)
    try:
        until(is_time)
    finally:
        sender.send_signal(signal.SIGKILL)
        sender.communicate()


def stored_states(console: FileConsole) -> list[str]:
    return [state for (state,) in console.rows("SELECT state FROM dashboard_operation")]


def test_killed_before_the_intent_is_stored_nothing_was_sent(console: FileConsole) -> None:
    """U-1, point 1: during the reading of the contract; no row, no call, nothing lost that was promised."""
    slow = [{"match": {"method": "GET", "path": "trigger-requirements"}, "do": {"latency_ms": 5000}}]
    console.simulator.sim.clear_ledger()
    console.simulator.sim.set_faults(slow)
    kill_when(console, lambda: len(console.simulator.sim.ledger()) > 0)
    assert stored_states(console) == []
    assert console.posts() == []


def test_killed_between_the_intent_and_the_call_it_is_sent_once_by_the_worker(console: FileConsole) -> None:
    """U-1, point 2: the row says sent, Docusign never heard of it; after the looks it is sent exactly once."""
    gate = console.simulator.sim.world.lock
    # Docusign accepts the connection but does not get to the request until the sender is dead.
    console.simulator.sim.set_faults(
        [{"match": {"path": "/actions/trigger"}, "do": {"latency_ms": 8000, "reset": "before"}}]
    )
    kill_when(console, lambda: stored_states(console) == ["sent"])
    with gate:
        console.simulator.sim.set_faults([])
    console.run(RESCUE)
    assert console.operation()["state"] == "confirmed"
    assert made_at_docusign(console) == 1


def test_killed_while_docusign_works_it_is_found_and_not_sent_again(console: FileConsole) -> None:
    """U-1, point 3: Docusign made the instance, its answer is under way, the sender is dead."""
    console.simulator.sim.set_faults([{"match": {"path": "/actions/trigger"}, "do": {"latency_ms": 8000}}])
    kill_when(console, lambda: made_at_docusign(console) == 1)
    assert stored_states(console) == ["sent"]
    console.simulator.sim.set_faults([])
    console.run(RESCUE)
    assert console.operation()["state"] == "confirmed"
    assert (made_at_docusign(console), len(console.posts())) == (1, 1)


def test_killed_while_the_answer_drips_it_is_found_and_not_sent_again(console: FileConsole) -> None:
    """U-1, point 4: the status came, the body did not."""
    drip = {"bytes": 1, "interval_ms": 200, "headers": False}
    console.simulator.sim.set_faults([{"match": {"path": "/actions/trigger"}, "do": {"drip": drip}}])
    kill_when(console, lambda: made_at_docusign(console) == 1)
    console.simulator.sim.set_faults([])
    console.run(RESCUE)
    assert console.operation()["state"] == "confirmed"
    assert (made_at_docusign(console), len(console.posts())) == (1, 1)


def test_killed_before_the_result_is_stored_it_is_found_and_not_sent_again(console: FileConsole) -> None:
    """U-1, point 5: the whole answer arrived, and the database was busy when the sender died."""
    if not console.is_on_sqlite:
        pytest.skip("holds the one lock that SQLite has for writers")
    path = console.environment["DATABASE_URL"].removeprefix("sqlite:///")
    console.simulator.sim.set_faults([{"match": {"path": "/actions/trigger"}, "do": {"latency_ms": 4000}}])
    sender = console.start(SEND)
    until(lambda: made_at_docusign(console) == 1)
    with sqlite3.connect(path, timeout=20, isolation_level=None) as database:
        database.execute("BEGIN IMMEDIATE")
        time.sleep(5)  # the answer is in the sender's hands now, and nowhere else
        assert stored_states(console) == ["sent"]
        sender.send_signal(signal.SIGKILL)
        sender.communicate()
        database.execute("ROLLBACK")
    console.run(RESCUE)
    assert console.operation()["state"] == "confirmed"
    assert (made_at_docusign(console), len(console.posts())) == (1, 1)


def test_a_call_that_takes_too_long_ends_by_the_clock_and_is_unknown(console: FileConsole) -> None:
    """Fault matrix, latency 60 s: a click waits at most ten seconds in all, then says that it is not known."""
    console.simulator.sim.set_faults([{"match": {"path": "/actions/trigger"}, "do": {"latency_ms": 60_000}}])
    patient = "from maestro_api import transport\ntransport.READ_TIMEOUT['POST'] = 60\n"
    timed = TRIGGER + patient + "import time\nat = time.monotonic()\nstate = trigger('the-form').state\n"
    state, seconds = console.run(timed + "print(state, time.monotonic() - at)").split()
    assert state == "unknown"
    assert CLICK_DEADLINE_SECONDS == 10
    assert float(seconds) < 28  # what every call may take would end it after thirty
    assert len(console.posts()) == 1


def test_twenty_submits_of_one_form_at_once_send_once(console: FileConsole) -> None:
    """U-7: the unique key decides; the others get the first result."""
    outputs: list[str] = []
    code = (
        TRIGGER
        + """
from django.db import OperationalError
from dashboard.services.errors import DocusignUnavailable, StoreBusy
states = []
def once(tries=5):
    try:
        states.append(str(trigger('the-form').pk))
    except (StoreBusy, DocusignUnavailable, OperationalError):  # a busy machine; the form is sent again, with its key (D-3)
        if tries == 1:
            raise
        once(tries - 1)
def submit():
    once()
    connection.close()
threads = [threading.Thread(target=submit) for _ in range(5)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
print(" ".join(states))
"""
    )
    senders = [threading.Thread(target=lambda: outputs.append(console.run(code))) for _ in range(4)]
    for sender in senders:
        sender.start()
    for sender in senders:
        sender.join()
    results = " ".join(outputs).split()
    assert len(results) == 20
    assert len(set(results)) == 1
    assert (len(console.posts()), made_at_docusign(console)) == (1, 1)


def test_a_worker_that_is_asked_to_end_finishes_its_call_first(console: FileConsole) -> None:
    """U-10: SIGTERM leaves no row that says sent."""
    console.run(TRIGGER + PLANNED)
    console.simulator.sim.clear_ledger()
    console.simulator.sim.set_faults([{"match": {"path": "/actions/trigger"}, "do": {"latency_ms": 2000}}])
    worker = console.work()
    try:
        until(lambda: len(console.posts()) == 1, seconds=90)
    finally:
        worker.send_signal(signal.SIGTERM)
        worker.wait(40)
    assert console.operation()["state"] == "confirmed"
    assert worker.returncode == 0
