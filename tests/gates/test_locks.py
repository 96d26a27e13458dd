"""S-18: the gate of locked packages is red on every way in which an installation could differ from what was tested."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.gates import locks
from tests.processes import ROOT

SOME, OTHER = "a" * 64, "b" * 64


def entry(name: str, version: str, *hashes: str) -> str:
    return " \\\n".join([f"{name}=={version}", *(f"    --hash=sha256:{each}" for each in hashes)]) + "\n"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with one package to run and one to test it, well locked."""
    (tmp_path / "requirements.txt").write_text("# What runs.\nPlain.Name[extra]>=2,<3\n")
    (tmp_path / "requirements-scale.txt").write_text("-r requirements.txt\n")
    (tmp_path / "requirements-dev.txt").write_text("-r requirements-scale.txt\nother  # any version\n")
    run = "# This file was written by:\n#    make lock\n" + entry("plain-name", "2.5", SOME, OTHER)
    (tmp_path / "requirements.lock").write_text(run)
    (tmp_path / "requirements-scale.lock").write_text(run)
    (tmp_path / "requirements-dev.lock").write_text(run + entry("other", "1.0 ; sys_platform == 'win32'", OTHER))
    return tmp_path


def test_locks_that_fit_are_green(project: Path) -> None:
    assert list(locks.scan(project)) == []


def everywhere(old: str, new: str) -> Callable[[Path], None]:
    """Change the text of each lock."""

    def change(project: Path) -> None:
        for name in locks.LOCKS.values():
            text = (project / name).read_text()
            assert old in text
            (project / name).write_text(text.replace(old, new))

    return change


def added(name: str, text: str) -> Callable[[Path], None]:
    """Put something before what a file holds."""

    def change(project: Path) -> None:
        (project / name).write_text(text + (project / name).read_text())

    return change


@pytest.mark.parametrize(
    ("sow", "found"),
    [
        (lambda project: (project / "requirements.lock").unlink(), "requirements.lock: is not there"),
        (added("requirements.txt", "new>=1\n"), "requirements.lock: new is asked for and not in it"),
        (added("requirements.txt", "new>=1\n"), "requirements-dev.lock: new is asked for and not in it"),
        (everywhere("2.5", "3.1"), "requirements.lock: Plain.Name 3.1 is outside of <3,>=2"),
        (everywhere(f" \\\n    --hash=sha256:{SOME} \\\n    --hash=sha256:{OTHER}", ""), "plain-name 2.5 has no hash"),
        (everywhere(f"sha256:{SOME}", "md5:" + "a" * 32), "requirements.lock:4: is no package"),
        (everywhere("plain-name==2.5", "plain-name>=2.5"), "requirements.lock:3: is no package"),
        (added("requirements.lock", "--index-url https://packages.example.com/simple\n"), "requirements.lock:1: is no"),
        (added("requirements.lock", "--find-links wheels\n"), "requirements.lock:1: is no package"),
        (added("requirements.lock", "# from https://packages.example.com/simple\n"), "requirements.lock:1: is no"),
        (added("requirements.lock", "x @ https://packages.example.com/x.whl \\\n"), "requirements.lock:1: is no"),
        (added("requirements.lock", entry("x", "1.0", SOME)), "requirements.lock: x is not as in the largest lock"),
        (
            lambda project: everywhere_but_dev(project, OTHER, "c" * 64),
            "requirements-scale.lock: plain-name is not as in the largest lock",
        ),
    ],
)
def test_the_gate_of_locks_is_red(project: Path, sow: Callable[[Path], None], found: str) -> None:
    """S-18: seeded defects."""
    sow(project)
    assert any(found in line for line in locks.scan(project)), list(locks.scan(project))


def everywhere_but_dev(project: Path, old: str, new: str) -> None:
    for name in ("requirements.lock", "requirements-scale.lock"):
        (project / name).write_text((project / name).read_text().replace(old, new))


def test_the_gate_does_not_print_an_address(project: Path) -> None:
    added("requirements.lock", "--index-url https://user:word@packages.example.com/simple\n")(project)
    assert "example.com" not in "\n".join(locks.scan(project))


def test_every_installation_that_is_told_or_made_asks_for_hashes() -> None:
    """S-18: a lock that nobody installs from would hold nothing."""
    files = [ROOT / "Makefile", ROOT / "README.md", *(ROOT / "docs").glob("*.md"), *(ROOT / ".ci").iterdir()]
    lines = [line for file in files for line in file.read_text().splitlines() if re.search(r"\bpip install\b", line)]
    assert len(lines) >= 4
    assert [line for line in lines if "--require-hashes" not in line] == []
