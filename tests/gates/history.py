"""Looks for secrets in all that git ever held (S-18). Its one rule: what was taken back is as known to others as what is still there.

It reads each version of each file once, and the words of each commit, rather than what changed between them: so nothing that
came in with a merge is passed over.
"""

import subprocess
from collections.abc import Iterator
from pathlib import Path

from tests.gates.secrets import LARGEST, suspects


class Unread(Exception):
    """There is no whole history to read; the text says why."""


def _git(root: Path, *words: str) -> str:
    return subprocess.run(["git", "-C", str(root), *words], check=True, capture_output=True, text=True).stdout


def ensure_whole(root: Path) -> None:
    """Refuse a history of which a part is missing."""
    try:
        is_shallow = _git(root, "rev-parse", "--is-shallow-repository").strip() != "false"
        commits = _git(root, "rev-list", "--all", "--max-count=1")
    except (OSError, subprocess.CalledProcessError) as error:
        raise Unread("there is no git history here") from error
    if is_shallow:
        raise Unread("this checkout is shallow")
    if not commits:
        raise Unread("nothing is committed yet")


def texts(root: Path) -> Iterator[tuple[str, str, str]]:
    """Each object with words in it: its id, where it stands, and its text; read one by one, since all are not small together."""
    listed = _git(
        root, "-c", "core.quotePath=false", "rev-list", "--objects", "--all", f"--filter=blob:limit={LARGEST}"
    )
    places = dict(line.partition(" ")[::2] for line in listed.splitlines())
    with subprocess.Popen(
        ["git", "-C", str(root), "cat-file", "--batch"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as objects:
        assert objects.stdin
        assert objects.stdout
        for name, place in places.items():
            objects.stdin.write(f"{name}\n".encode())
            objects.stdin.flush()
            _, kind, size = objects.stdout.readline().split()
            content = objects.stdout.read(int(size) + 1)[:-1]
            if kind != b"tree":
                yield name, place or f"the words of a {kind.decode()}", content.decode("utf-8", "replace")
        objects.stdin.close()


def scan(root: Path) -> Iterator[str]:
    """One line a secret: where it stood first and how it looks, never the secret itself."""
    ensure_whole(root)
    told: set[str] = set()
    for name, place, text in texts(root):
        for what, digest, line in suspects(text):
            if digest not in told:
                told.add(digest)
                yield f"{place}:{line}, in {_since(root, name)}: looks like {what} ({digest})"


def _since(root: Path, name: str) -> str:
    """The first commit that brought it; of a commit, itself."""
    brought = _git(
        root, "log", "--all", "--reverse", "--diff-merges=on", f"--find-object={name}", "--format=%h"
    ).split()
    return brought[0] if brought else name[:10]
