"""How long the audit is kept. Its one rule: what goes leaves a signed checkpoint, so the chain still proves what stays (A-6).

A clock that is ahead must not empty it: one turn takes a month of entries at most, and none where all that stays is of this month.
"""

import logging
from datetime import timedelta

from django.conf import settings
from django.utils import timezone

from dashboard.models import AuditEntry
from dashboard.services import audit

log = logging.getLogger(__name__)
MOST_AT_ONCE = timedelta(days=31)
NOT_SURE = "nothing that stays is older than a month; is the clock right?"


def purge() -> int:
    """Close the chain behind the entries that are old enough, and delete them; how many went."""
    # First what a purge that was broken off left behind: its checkpoint is written already.
    deleted = audit.delete_closed()
    oldest = timezone.now() - timedelta(days=settings.AUDIT_RETENTION_DAYS)
    first = AuditEntry.objects.order_by("seq").first()
    if first is None or first.at >= oldest:
        return deleted
    stays = AuditEntry.objects.filter(at__gte=min(oldest, first.at + MOST_AT_ONCE)).order_by("seq").first()
    if stays is None or stays.at > timezone.now() - MOST_AT_ONCE:
        # Nobody worked here between that time and this month: a console that stood still, or a clock that is ahead.
        log.error("audit.not_purged", extra={"reason": NOT_SURE})
        return deleted
    closing = AuditEntry.objects.filter(seq__lt=stays.seq).order_by("-seq").first()
    if closing is not None:
        audit.close_at(closing, first=first)
    return deleted + audit.delete_closed()
