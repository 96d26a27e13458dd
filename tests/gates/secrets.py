"""Looks for secrets in the files that git holds (S-18). Its one rule: what is allowed is allowed by its own digest, never by its file."""

import base64
import hashlib
import re
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

PATTERNS = {
    "a private key": re.compile(r"-----BEGIN (?:[A-Z]+ )?PRIVATE KEY-----\s*(?:\\n)?[A-Za-z0-9+/=\\\s]{100,}"),
    "a key of AWS": re.compile(r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b"),
    "a token of GitHub": re.compile(r"\bgh[pousr]_[A-Za-z0-9]{36,}\b|\bgithub_pat_[A-Za-z0-9_]{60,}\b"),
    "a token of GitLab": re.compile(r"\bglpat-[A-Za-z0-9_-]{20,}\b"),
    "a token of Slack": re.compile(r"\bxox[abprs]-[A-Za-z0-9-]{20,}\b"),
    "a signed token": re.compile(r"\beyJ[A-Za-z0-9_-]{15,}\.eyJ[A-Za-z0-9_-]{15,}\.[A-Za-z0-9_-]{20,}"),
    "a key of 32 bytes": re.compile(r"(?<![A-Za-z0-9+/])[A-Za-z0-9+/]{43}=(?![A-Za-z0-9+/=])"),
    "a value of a secret setting": re.compile(
        r"\b(?:DJANGO_SECRET_KEY|DOCUSIGN_CLIENT_SECRET|METRICS_TOKEN|SENTRY_DSN)\"?\s*[:=]\s*[\"']?(?=[^\s\"']*\d)([A-Za-z0-9][^\s\"'|,;()$]{15,})(?![^\s\"']*\()"
    ),
    "a password in an address": re.compile(
        r"\b(?:postgres(?:ql)?|rediss?|https?)://[^\s:/@\"']+:([^\s@/\"'{}<>…\[\]*$]{6,})@"
    ),
}
# The digests of what looks like a secret and is none: keys of the tests, examples of the documentation.
ALLOWED_FILE = Path(__file__).with_name("allowed_secrets.txt")
LARGEST = 2_000_000
PLACEHOLDERS = frozenset({"password", "secret", "example"})


def tracked(root: Path) -> list[Path]:
    """Every file that is in git or would be added to it."""
    command = ["git", "-C", str(root), "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    listed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    files = [root / name for name in listed.split("\0") if name]
    return [file for file in files if file.is_file() and not file.is_symlink() and file.stat().st_size < LARGEST]


def digest_of(found: str) -> str:
    return hashlib.sha256(found.encode()).hexdigest()[:16]


def is_readable(found: str) -> bool:
    """Whether 32 bytes spell words: a key that somebody wrote for a test, since no random one does."""
    try:
        return len(found) == 44 and base64.b64decode(found, validate=True).decode("ascii").isprintable()
    except ValueError:
        return False


@cache
def allowed() -> frozenset[str]:
    lines = ALLOWED_FILE.read_text().splitlines()
    return frozenset(line.split()[0] for line in lines if line and not line.startswith("#"))


def suspects(text: str) -> Iterator[tuple[str, str, int]]:
    """What looks like a secret and is not allowed: its kind, its digest and its line."""
    known = allowed()
    for what, pattern in PATTERNS.items():
        for match in pattern.finditer(text):
            found = match.group(match.lastindex or 0)
            if found not in PLACEHOLDERS and not is_readable(found) and digest_of(found) not in known:
                yield what, digest_of(found), text.count("\n", 0, match.start()) + 1


def scan(root: Path) -> Iterator[str]:
    """One line a secret: where it is and what it looks like, never the secret itself."""
    for file in tracked(root):
        for what, digest, line in suspects(file.read_bytes().decode("utf-8", "replace")):
            yield f"{file.relative_to(root)}:{line}: looks like {what} ({digest})"
