"""A console on files with a bulk run in it, and workers that the test kills, stops and continues.

The one rule: workers are the product's own command; what the run did is judged by what the simulator holds.
"""

import re
import signal
import subprocess
import time
from collections import Counter
from pathlib import Path

from maestro_api.simulator import Simulator, SimulatorServer
from tests.services.file_console import KEYS, FileConsole, until

TRIGGER = "/actions/trigger"
CREATE = """
from tests.services.bulk import sheet_batch, started
membership, contract = PEOPLE.get(user__name="Ada Admin"), Contract.objects.get(workflow__name="Supplier NDA")
batch = started(sheet_batch(membership, contract, [f"Bulk {n:05}" for n in range(int(sys.argv[1]))]), membership)
print(batch.pk)
"""
# What was left by the dead is due now: leases have ended, lost answers are old enough to be looked for.
AGE = (
    "UPDATE dashboard_operation SET lease_until = {lease_until} WHERE lease_until IS NOT NULL",
    "UPDATE dashboard_batch SET lease_until = {lease_until} WHERE lease_until IS NOT NULL",
)
AGE_UNKNOWN = (
    "UPDATE dashboard_operation SET sent_at = {sent_at}, last_absent_at = {last_absent_at}, next_check_at = {next_check_at} "
    "WHERE state = 'unknown'",
)
EARLIER = {True: "strftime('%Y-%m-%d %H:%M:%f', {0}, '-61 seconds')", False: "{0} - interval '61 seconds'"}
COLUMNS = ("lease_until", "sent_at", "last_absent_at", "next_check_at")


class BulkConsole(FileConsole):
    """Database, queue and simulator of one bulk run of triggers."""

    def __init__(
        self, folder: Path, *, rate: float = 50, latency_ms: int = 0, queue_url: str = "", database_url: str = ""
    ) -> None:
        server = SimulatorServer(Simulator(seed=1, workflows=12, instances=10, latency_ms=latency_ms), port=0)
        server.sim.world.settings.moving = False
        server.sim.set_limits(hourly=1_000_000, burst=1_000_000)
        server.start()
        super().__init__(folder, server, queue_url=queue_url, database_url=database_url)
        self.server = server
        # Benchmarks run outside of the tests' own settings, which bring these two.
        self.environment = KEYS | self.environment
        self.environment |= {"BATCH_RATE_PER_SECOND": str(rate), "SYNC_INTERVAL_SECONDS": "86400"}
        self.workers: list[subprocess.Popen[bytes]] = []
        self.prepare()

    def close(self) -> None:
        """End what is left of the workers, and the simulator."""
        for worker in self.workers:
            if worker.poll() is None:
                self.kill(worker)
        self.server.stop()

    def start_run(self, rows: int) -> str:
        """A checked and confirmed run."""
        return self.run(CREATE, str(rows))

    def start_worker(self) -> subprocess.Popen[bytes]:
        worker = self.work()
        self.workers.append(worker)
        return worker

    def kill(self, worker: subprocess.Popen[bytes]) -> None:
        """kill -9, in the middle of whatever it does."""
        worker.send_signal(signal.SIGKILL)
        worker.wait()

    def end(self, worker: subprocess.Popen[bytes]) -> int:
        """SIGTERM; its exit code."""
        worker.send_signal(signal.SIGTERM)
        return worker.wait(40)

    def states(self) -> dict[str, int]:
        """How many items are in each state."""
        return dict(self.rows("SELECT state, COUNT(*) FROM dashboard_batchitem GROUP BY state"))

    def confirmed(self) -> int:
        return self.states().get("confirmed", 0)

    def run_state(self) -> str:
        return str(self.rows("SELECT state FROM dashboard_batch")[0][0])

    def holder(self) -> str:
        """The process that carries the run out just now."""
        return str(self.rows("SELECT runner FROM dashboard_batch")[0][0]).partition(":")[2].partition(":")[0]

    def age(self, *, unknown_too: bool = True) -> None:
        """Let the time pass that leases and looks would have to be waited for; no living worker may have a call under way."""
        self._change(AGE)
        if unknown_too:
            self.age_unknown()

    def age_unknown(self) -> None:
        """Let the settle time of lost answers pass."""
        self._change(AGE_UNKNOWN)

    def _change(self, statements: tuple[str, ...]) -> None:
        earlier = {column: EARLIER[self.is_on_sqlite].format(column) for column in COLUMNS}
        for statement in statements:
            self.change(statement.format(**earlier))

    def finish(self, *, seconds: float, is_hurried: bool = False) -> None:
        """Let a worker finish the run."""
        at = time.monotonic() + 2

        def is_done() -> bool:
            nonlocal at
            if is_hurried and time.monotonic() > at:
                self.age_unknown()
                at = time.monotonic() + 2
            return self.run_state() == "done"

        until(is_done, seconds=seconds)

    def held(self) -> Counter[str]:
        """The instances of the run that the simulator holds, by the name of their row."""
        names = [name for name in list(self.server.sim.world.instances.names.values()) if name.startswith("Bulk ")]
        return Counter(match[0] for name in names if (match := re.match(r"Bulk \d+", name)))

    def made(self) -> tuple[int, int]:
        """How many rows were made, and how many of them more than once."""
        held = self.held()
        return len(held), sum(number > 1 for number in held.values())
