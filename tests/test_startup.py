"""What a process sets for its database sessions, and that the tests say why they skip PostgreSQL."""

import socket
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from dashboard.startup import postgres_options
from tests import postgres


@pytest.mark.parametrize(
    ("arguments", "milliseconds"),
    [
        (["gunicorn", "dashboard.wsgi"], 5_000),
        (["manage.py"], 5_000),
        (["manage.py", "work"], 60_000),
        (["manage.py", "--traceback", "sync"], 60_000),
        (["manage.py", "migrate", "--verbosity", "0"], 0),
        (["manage.py", "verify_audit"], 0),
        (["manage.py", "export_audit", "file"], 0),
    ],
)
def test_each_command_gets_the_time_that_its_statements_need(arguments: list[str], milliseconds: int) -> None:
    """D-4: pages are cut off early; what goes through whole tables is not."""
    assert f"-c statement_timeout={milliseconds} " in postgres_options(arguments)["options"] + " "


@pytest.mark.parametrize("command", ["gunicorn", "work", "migrate"])
def test_locks_and_idle_transactions_are_cut_off_everywhere(command: str) -> None:
    """D-4, D-2: also for the worker; and a commit is on disk when it returns."""
    options = postgres_options(["manage.py", command])["options"]
    for word in ("lock_timeout=2000", "idle_in_transaction_session_timeout=10000", "synchronous_commit=on"):
        assert f"-c {word}" in options


def test_no_statement_is_compiled_or_shared_out_first() -> None:
    options = postgres_options(["gunicorn"])["options"]
    assert "-c jit=off -c max_parallel_workers_per_gather=0" in options


@pytest.mark.parametrize(("is_ci", "code"), [("", 0), ("true", 1)])
def test_without_postgresql_the_reason_is_told_and_ci_fails(
    is_ci: str, code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CI", is_ci)
    monkeypatch.setattr(postgres, "programs", lambda: None)
    assert postgres.main(["pytest"]) == code
    assert "PostgreSQL 14 or newer is not installed" in capsys.readouterr().err


@pytest.mark.processes
@pytest.mark.parametrize("code", ["0", "3"])
def test_the_cluster_ends_with_its_command(code: str, tmp_path: Path) -> None:
    """However it ends: nothing keeps running."""
    if postgres.programs() is None:
        pytest.skip(postgres.MISSING)
    (tmp_path / "ends.py").write_text(f"import os, sys\nprint(os.environ['DATABASE_URL'])\nsys.exit({code})\n")
    answer = subprocess.run(
        [sys.executable, "-c", "import sys; from tests.postgres import main; sys.exit(main(['ends']))"],
        env={"PYTHONPATH": f"{Path.cwd()}:{tmp_path}", "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert answer.returncode == int(code), answer.stderr
    port = urlsplit(answer.stdout.strip()).port
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=5)
