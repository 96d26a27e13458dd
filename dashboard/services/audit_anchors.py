"""The head of the audit chain, written where the database's own administrator does not rule (A-3).

The one rule: a line holds number, hash and time of an entry and nothing else, so it may be kept anywhere.
"""

import json
import logging
import os
from collections.abc import Iterable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from django.conf import settings
from django.utils import timezone

from dashboard.models import AuditEntry, AuditHead
from dashboard.services.audit import OutsideHead

log = logging.getLogger(__name__)
WRITTEN_WITHIN = timedelta(hours=2)  # of the first entry, as the worker writes each hour
SEQ, HASH, AT = "audit_seq", "audit_hash", "audit_at"


def write_head() -> int:
    """Write the head to the log, and to AUDIT_ANCHOR_FILE where that is set; 1, or 0 without any entry."""
    head = AuditHead.objects.filter(pk=1).first()
    if head is None:
        return 0
    line = {SEQ: head.seq, HASH: head.hash, AT: timezone.now().isoformat()}
    log.info("Audit head", extra=line)
    if settings.AUDIT_ANCHOR_FILE:
        try:
            _append(Path(settings.AUDIT_ANCHOR_FILE), json.dumps(line) + "\n")
        except OSError as error:
            log.error("AUDIT_ANCHOR_FILE cannot be written: %s", error.strerror)
    return 1


def _append(path: Path, line: str) -> None:
    # Opened to append only, so that it works on a file that may only grow (chattr +a).
    handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(handle, line.encode())
        os.fsync(handle)
    finally:
        os.close(handle)


def is_file_missing() -> bool:
    """Whether AUDIT_ANCHOR_FILE is not there although the worker must have written it: without it a cut end would not be noticed."""
    if not settings.AUDIT_ANCHOR_FILE or Path(settings.AUDIT_ANCHOR_FILE).exists():
        return False
    return AuditEntry.objects.filter(at__lt=timezone.now() - WRITTEN_WITHIN).exists()


def read_heads(lines: Iterable[str]) -> list[OutsideHead]:
    """The heads among lines of JSON: a file of heads, or a log with whatever else in it."""
    return [head for line in lines if HASH in line and (head := _head_of(line))]


def _head_of(line: str) -> OutsideHead | None:
    # A log collector may put words of its own before the JSON.
    text = line[line.find("{") :]
    try:
        members: dict[str, Any] = json.loads(text)
        at = datetime.fromisoformat(members[AT])
        return OutsideHead(int(members[SEQ]), str(members[HASH]), at) if at.tzinfo else None
    except (ValueError, KeyError, TypeError):
        return None
