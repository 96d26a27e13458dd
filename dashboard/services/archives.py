"""The file of a backup: the database's bytes, then a manifest that says what they are, sealed as a whole.

The one rule: a file has its name only when it is whole and on the disk.
"""

import hashlib
import json
import os
import re
import time
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from dashboard import crypto
from dashboard.services.errors import ServiceError

NAME = re.compile(r"console-\d{8}T\d{6}Z\.backup")
PART = ".part"
ABANDONED_SECONDS = 24 * 3600
LARGEST_MANIFEST = 1 << 24
Manifest = dict[str, Any]
END = (0).to_bytes(4, "big")


class BackupFailed(ServiceError):
    """A backup cannot be made, opened or trusted; the message says why."""


def write_archive(folder: Path, at: datetime, data: Iterable[bytes], manifest: Callable[[], Manifest]) -> Path:
    """Seal the bytes into a new file of the folder; what `manifest` returns after them goes in as well."""
    path = folder / f"console-{at:%Y%m%dT%H%M%SZ}.backup"
    part = folder / f".{path.name}{PART}"
    try:
        with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as sink:
            _write(crypto.FileSealer(sink), data, manifest)
            sink.flush()
            os.fsync(sink.fileno())
        os.replace(part, path)
    except FileExistsError as error:
        raise BackupFailed("Another backup is being written into this folder just now.") from error
    except OSError as error:
        part.unlink(missing_ok=True)
        raise BackupFailed(f"The backup cannot be written: {error.strerror}.") from error
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    _sync_folder(folder)
    return path


def _write(sealer: crypto.FileSealer, data: Iterable[bytes], manifest: Callable[[], Manifest]) -> None:
    digest, size = hashlib.sha256(), 0
    for piece in data:
        digest.update(piece)
        size += len(piece)
        _frame(sealer, piece)
    sealer.write(END)
    sealer.write(json.dumps(manifest() | {"size": size, "sha256": digest.hexdigest()}, sort_keys=True).encode())
    sealer.close()


def _frame(sealer: crypto.FileSealer, data: bytes) -> None:
    if data:
        sealer.write(len(data).to_bytes(4, "big"))
        sealer.write(data)


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def read_archive(path: Path, take: Callable[[bytes], object]) -> Manifest:
    """Hand the database's bytes to `take`; the manifest once all of the file has proven true. Raises BackupFailed."""
    try:
        with path.open("rb") as source:
            return _read(_Plain(crypto.unseal_file(source)), take)
    except OSError as error:
        raise BackupFailed(f"{path} cannot be read: {error.strerror}.") from error
    except crypto.SealBroken as error:
        raise BackupFailed(str(error)) from error


def _read(plain: "_Plain", take: Callable[[bytes], object]) -> Manifest:
    digest, size = hashlib.sha256(), 0
    while length := int.from_bytes(plain.read(4), "big"):
        piece = plain.read(length)
        digest.update(piece)
        size += len(piece)
        take(piece)
    manifest: Manifest = json.loads(plain.rest(LARGEST_MANIFEST))
    if (manifest["size"], manifest["sha256"]) != (size, digest.hexdigest()):
        raise BackupFailed("The backup does not hold what its manifest says.")
    return manifest


class _Plain:
    """Reads given numbers of bytes out of an iterator of pieces."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces, self._here = pieces, b""

    def read(self, number: int) -> bytes:
        while len(self._here) < number:
            piece = next(self._pieces, None)
            if piece is None:
                raise BackupFailed("The backup is not whole.")
            self._here += piece
        found, self._here = self._here[:number], self._here[number:]
        return found

    def rest(self, most: int) -> bytes:
        """What is left, to the proven end of the file."""
        for piece in self._pieces:
            self._here += piece
            if len(self._here) > most:
                raise BackupFailed("The backup has a form that this console does not know.")
        return self._here


def later_than(made: Path) -> list[Path]:
    """The backups beside this one whose names say that they were made after it."""
    return sorted(each for each in made.parent.iterdir() if NAME.fullmatch(each.name) and each.name > made.name)


def prune(made: Path, keep: int) -> list[Path]:
    """Delete all but the newest backups up to this one, and what broken-off ones left; the files that went.

    Those with a later name were made while the clock was ahead: they neither count nor go, or each new one would go for them.
    """
    folder = made.parent
    for part in folder.glob(f".console-*.backup{PART}"):
        if time.time() - part.stat().st_mtime > ABANDONED_SECONDS:
            part.unlink(missing_ok=True)
    found = sorted(each for each in folder.iterdir() if NAME.fullmatch(each.name) and each.name <= made.name)
    gone = found[:-keep] if keep else []
    for path in gone:
        path.unlink(missing_ok=True)
    return gone
