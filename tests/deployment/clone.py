"""Stands in for `git clone`: this working tree, with paths and ports moved into the machine of the test."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.deployment.machine import MOVED, listening
from tests.processes import ROOT


def main() -> None:
    target, machine = Path(sys.argv[1]), os.environ["MACHINE"]
    listed = subprocess.run(
        ["/usr/bin/git", "-C", str(ROOT), "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        check=True,
        capture_output=True,
        text=True,
    )
    for name in filter(None, listed.stdout.split("\0")):
        source = ROOT / name
        if source.is_file() and not source.is_symlink() and not name.startswith(("tests/", "docs/")):
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, target / name)
    for file in (target / "deploy").rglob("*"):
        if file.is_file():
            file.write_text(moved(file.read_text(), machine))


def moved(text: str, machine: str) -> str:
    for path in MOVED:
        text = text.replace(path, f"{machine}{path}")
    text = text.replace("127.0.0.1:8000", f"127.0.0.1:{os.environ['WEB_PORT']}")
    text = listening(text, os.environ["PLAIN_PORT"], os.environ["TLS_PORT"])
    return text.replace(
        "#DOCUSIGN_SIMULATOR_URL=http://127.0.0.1:9000", f"DOCUSIGN_SIMULATOR_URL={os.environ['SIMULATOR_URL']}"
    )


if __name__ == "__main__":
    main()
