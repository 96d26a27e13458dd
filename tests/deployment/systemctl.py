"""Stands in for systemd: starts what a unit's ExecStart says, in its directory, with its settings and nothing else."""

import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

MACHINE = Path(os.environ.get("MACHINE", "/nonexistent"))
UNITS = MACHINE / "etc/systemd/system"


def read_unit(text: str) -> dict[str, list[str]]:
    """Every setting of a unit, whatever section; a name may come more than once."""
    found: dict[str, list[str]] = {}
    for line in text.splitlines():
        name, equals, value = line.partition("=")
        if equals and not line.startswith(("#", ";", "[")):
            found.setdefault(name.strip(), []).append(value.strip())
    return found


def read_environment(text: str) -> dict[str, str]:
    """An environment file as systemd reads it: one a line, quotes around a value taken off."""
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.strip().startswith(("#", ";"))]
    pairs = [line.partition("=") for line in lines]
    return {name: "".join(shlex.split(value)) if value[:1] in "\"'" else value for name, _, value in pairs}


def environment_of(unit: dict[str, list[str]]) -> dict[str, str]:
    variables = {"PATH": os.environ["PATH"], "LANG": "C.UTF-8"}
    for file in unit.get("EnvironmentFile", []):
        variables |= read_environment(Path(file).read_text())
    return variables


def start(name: str) -> None:
    unit = read_unit((UNITS / name).read_text())
    command = shlex.split(unit["ExecStart"][0])
    log = (MACHINE / "run" / f"{name}.log").open("ab")
    options = {"cwd": unit["WorkingDirectory"][0], "env": environment_of(unit), "stdout": log, "stderr": log}
    if unit["Type"] == ["oneshot"]:
        sys.exit(subprocess.run(command, **options).returncode)
    process = subprocess.Popen(command, start_new_session=True, stdin=subprocess.DEVNULL, **options)
    (MACHINE / "run" / f"{name}.pid").write_text(str(process.pid))


def stop(name: str) -> None:
    file = MACHINE / "run" / f"{name}.pid"
    number = int(file.read_text())
    os.kill(number, signal.SIGTERM)
    until = time.monotonic() + 45
    while is_alive(number) and time.monotonic() < until:
        time.sleep(0.05)
    file.unlink()


def is_alive(number: int) -> bool:
    """Whether a process runs; one that only waits for its parent to look has ended."""
    try:
        return Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def reload(name: str) -> None:
    unit = read_unit((UNITS / name).read_text())
    words = shlex.split(unit["ExecReload"][0].replace("$MAINPID", (MACHINE / "run" / f"{name}.pid").read_text()))
    subprocess.run(words, check=True)


def main() -> None:
    words = [word for word in sys.argv[1:] if not word.startswith("--")]
    verb, names = words[0], words[1:]
    if verb == "daemon-reload":
        return
    for name in names:
        if name.endswith(".timer"):
            assert (UNITS / name).exists()
        elif name == "nginx":
            subprocess.run(["nginx"], check=True)
        elif verb in ("enable", "start"):
            start(name)
        elif verb == "restart":
            stop(name)
            start(name)
        elif verb == "reload":
            reload(name)
        else:
            sys.exit(f"not a step that is known: systemctl {verb} {name}")


if __name__ == "__main__":
    main()
