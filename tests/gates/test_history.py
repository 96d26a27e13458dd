"""S-18: a secret that was committed is found however it went in, also after it was taken back."""

import subprocess
from pathlib import Path

import pytest

from tests.gates import history, secrets
from tests.gates.__main__ import main
from tests.processes import ROOT

TOKEN = "ghp_" + "a1B2c3D4e5" * 4
KEY = "-----BEGIN " + "PRIVATE KEY-----\n" + ("MIIEvQIBADANBgkqhkiG9w0B" * 2 + "\n") * 4


def git(folder: Path, *words: str) -> str:
    own = ["-c", "user.name=Ada", "-c", "user.email=ada@example.com", "-c", "commit.gpgsign=false"]
    ended = subprocess.run(["git", *own, "-C", str(folder), *words], check=True, capture_output=True, text=True)
    return ended.stdout.strip()


def commit(folder: Path, text: str, *, name: str = "notes.txt", words: str = "Write notes") -> str:
    """The short id of a commit in which a file reads like this."""
    (folder / name).write_text(text)
    git(folder, "add", name)
    git(folder, "commit", "--quiet", "--message", words)
    return git(folder, "rev-parse", "--short", "HEAD")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A git of its own with one harmless commit."""
    there = tmp_path / "origin"
    subprocess.run(["git", "init", "--quiet", "--initial-branch", "main", str(there)], check=True)
    commit(there, "nothing\n")
    return there


@pytest.mark.parametrize("secret", [TOKEN, KEY], ids=["one line", "several lines"])
def test_a_secret_that_was_taken_back_is_found_and_not_printed(folder: Path, secret: str) -> None:
    """S-18: the seeded defect; the gate of the present files does not see it."""
    since = commit(folder, f"nothing\n{secret}\n")
    commit(folder, "nothing\n")
    found = list(history.scan(folder))
    assert len(found) == 1
    assert found[0].startswith(f"notes.txt:2, in {since}: looks like ")
    assert secret[-12:] not in found[0]
    assert list(secrets.scan(folder)) == []


def test_a_secret_of_another_branch_is_found(folder: Path) -> None:
    git(folder, "switch", "--quiet", "--create", "aside")
    since = commit(folder, f"{TOKEN}\n", name="größe.txt")
    git(folder, "switch", "--quiet", "main")
    assert [line.partition(": ")[0] for line in history.scan(folder)] == [f"größe.txt:1, in {since}"]


def test_a_secret_that_came_in_with_a_merge_is_found(folder: Path) -> None:
    git(folder, "switch", "--quiet", "--create", "aside")
    commit(folder, "other\n", name="other.txt")
    git(folder, "switch", "--quiet", "main")
    commit(folder, "more\n")
    git(folder, "merge", "--quiet", "--no-ff", "--no-commit", "aside")
    since = commit(folder, f"{TOKEN}\n")
    commit(folder, "nothing\n")
    assert [line.partition(": ")[0] for line in history.scan(folder)] == [f"notes.txt:1, in {since}"]


def test_a_secret_in_the_words_of_a_commit_is_found(folder: Path) -> None:
    since = commit(folder, "more\n", words=f"Use {TOKEN}")
    found = list(history.scan(folder))
    assert len(found) == 1
    assert found[0].startswith("the words of a commit:")
    assert since[:7] in found[0]


def test_a_secret_in_many_versions_is_told_once(folder: Path) -> None:
    for number in range(3):
        commit(folder, f"{TOKEN}\n{number}\n")
    assert len(list(history.scan(folder))) == 1


def test_what_is_allowed_by_its_digest_is_no_finding(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    commit(folder, f"{TOKEN}\n")
    monkeypatch.setattr(secrets, "allowed", lambda: {secrets.digest_of(TOKEN)})
    assert list(history.scan(folder)) == []


def test_a_shallow_checkout_is_a_skip_that_says_so(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """S-18: a clear skip, not a green light."""
    commit(folder, f"{TOKEN}\n")
    commit(folder, "nothing\n")
    shallow = tmp_path / "shallow"
    git(tmp_path, "clone", "--quiet", "--depth", "1", folder.as_uri(), str(shallow))
    monkeypatch.setattr("tests.gates.__main__.GATES", {"past": lambda: list(history.scan(shallow))})
    assert main([]) == 0
    assert capsys.readouterr().out == "past SKIPPED: this checkout is shallow.\n"


def test_no_history_is_a_skip_that_says_so(tmp_path: Path) -> None:
    with pytest.raises(history.Unread, match="no git history"):
        history.ensure_whole(tmp_path)
    subprocess.run(["git", "init", "--quiet", str(tmp_path)], check=True)
    with pytest.raises(history.Unread, match="nothing is committed"):
        history.ensure_whole(tmp_path)


def test_the_whole_history_of_the_console_is_read() -> None:
    """Each commit is among what is read, from the first one on."""
    try:
        history.ensure_whole(ROOT)
    except history.Unread as reason:
        pytest.skip(str(reason))
    read = {name for name, _, _ in history.texts(ROOT)}
    assert set(git(ROOT, "rev-list", "--all").split()) <= read
