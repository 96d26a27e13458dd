"""`manage.py rotate_key`: seal every stored secret anew. Its one rule: it may be repeated, and run while people work."""

from collections import Counter
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from dashboard.services import rotation


class Command(BaseCommand):
    help = "Re-seal all secrets with the first key of TOKEN_KEYS. An older key may be removed once it seals nothing."

    def handle(self, *args: Any, **options: Any) -> None:
        done = rotation.rotate()
        self.stdout.write(f"Before: {_told(done.before)}")
        self.stdout.write(f"After:  {_told(done.after)}")
        if done.broken:
            raise CommandError(f"{len(done.broken)} secrets do not open with any key: {', '.join(done.broken[:10])}")


def _told(counts: Counter[str]) -> str:
    return ", ".join(f"key {key}: {number}" for key, number in sorted(counts.items())) or "no secrets"
