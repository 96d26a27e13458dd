"""How long `make demo` takes on a fresh clone until the console is ready, with the packages in pip's cache."""

import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from tests.benchmarks.figures import Figure
from tests.processes import ROOT, free_port, wait_until


def figures() -> Iterator[Figure]:
    with tempfile.TemporaryDirectory(prefix="maestro-console-clone-") as folder:
        clone = Path(folder) / "console"
        subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
        variables = {name: value for name, value in os.environ.items() if name not in {"PYTHONPATH", "VIRTUAL_ENV"}}
        output = Path(folder) / "output.txt"
        started = time.monotonic()
        with output.open("wb") as sink:
            process = subprocess.Popen(
                ["make", "demo", f"PORT={free_port()}", f"SIMULATOR_PORT={free_port()}"],
                cwd=clone,
                env=variables,
                stdout=sink,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            wait_until("Console ready", lambda: is_ready(process, output), seconds=300, every=0.05)
            taken = time.monotonic() - started
        finally:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait(30)
        yield Figure("demo_from_clone_to_ready", taken, "s", "<= 60")


def is_ready(process: subprocess.Popen[bytes], output: Path) -> bool:
    text = output.read_text(errors="replace")
    assert process.poll() is None, text
    return "Console ready:" in text
