"""Compares the lock files with the packages asked for (S-18). Its one rule: a lock holds names, versions and hashes, no address."""

import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

# From the smallest to the largest: each holds what those before it hold.
LOCKS = {
    "requirements.txt": "requirements.lock",
    "requirements-scale.txt": "requirements-scale.lock",
    "requirements-dev.txt": "requirements-dev.lock",
}
PACKAGE = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*)==([A-Za-z0-9.!+_-]+)(?: ; [\w .'\"<>=!()-]+)?( \\)?")
HASH = re.compile(r"    --hash=sha256:([0-9a-f]{64})( \\)?")
REMARK = re.compile(r"(?:#[^/]*)?")
Pins = dict[str, dict[str, set[str]]]  # package, version, hashes


def asked(root: Path, name: str) -> Iterator[Requirement]:
    """The packages of one list, and of those that it includes."""
    for line in (root / name).read_text().splitlines():
        words = line.split("#")[0].strip()
        if words.startswith("-r "):
            yield from asked(root, words.removeprefix("-r ").strip())
        elif words:
            yield Requirement(words)


def read(text: str) -> tuple[Pins, list[int]]:
    """What is pinned, and the lines that pin nothing: an option, an address, a package without a version or cut off from its hashes."""
    pins: Pins = defaultdict(dict)
    odd: list[int] = []
    hashes: set[str] | None = None
    for number, line in enumerate(text.splitlines(), 1):
        if hashes is not None and (match := HASH.fullmatch(line)):
            hashes.add(match[1])
            hashes = hashes if match[2] else None
        elif hashes is None and (match := PACKAGE.fullmatch(line)):
            into = pins[canonicalize_name(match[1])].setdefault(match[2], set())
            hashes = into if match[3] else None
        elif hashes is not None or not REMARK.fullmatch(line):
            odd.append(number)
            hashes = None
    return pins, odd


def scan(root: Path) -> Iterator[str]:
    """One line for each thing by which an installation could differ from what was tested."""
    largest: Pins = {}
    for asking, lock in reversed(LOCKS.items()):
        if not (root / lock).is_file():
            yield f"{lock}: is not there"
            continue
        pins, odd = read((root / lock).read_text())
        yield from (f"{lock}:{number}: is no package with its version and hashes" for number in odd)
        yield from (
            f"{lock}: {name} {version} has no hash"
            for name, versions in pins.items()
            for version, hashes in versions.items()
            if not hashes
        )
        yield from (f"{lock}: {problem}" for problem in _missed(asked(root, asking), pins))
        largest = largest or pins
        yield from (f"{lock}: {name} is not as in the largest lock" for name in pins if pins[name] != largest.get(name))


def _missed(wanted: Iterator[Requirement], pins: Pins) -> Iterator[str]:
    for each in wanted:
        versions = pins.get(canonicalize_name(each.name), {})
        if not versions:
            yield f"{each.name} is asked for and not in it"
        for version in versions:
            if not each.specifier.contains(version, prereleases=True):
                yield f"{each.name} {version} is outside of {each.specifier}"
