"""The console's own icon names and the Heroicons glyph each one stands for.

Its one rule: pages and models name what a thing means ("cancel"), never how it is drawn ("no-symbol").
"""

from __future__ import annotations

ICONS: dict[str, str] = {
    # the rail
    "menu": "bars-3",
    "overview": "home",
    "workflows": "share",
    "instances": "list-bullet",
    "batches": "square-3-stack-3d",
    "audit": "clipboard-document-list",
    "analytics": "chart-bar",
    "alerts": "bell",
    "team": "users",
    "connections": "link",
    "events": "bolt",
    "system": "computer-desktop",
    "light": "sun",
    "dark": "moon",
    "sign-out": "arrow-right-start-on-rectangle",
    "keyboard": "command-line",
    # deeds
    "trigger": "play",
    "play": "play",
    "resume": "play",
    "pause": "pause",
    "stop": "stop",
    "cancel": "no-symbol",
    "refresh": "arrow-path",
    "undo": "arrow-uturn-left",
    "open": "arrow-right",
    "external": "arrow-top-right-on-square",
    "copy": "clipboard-document",
    "reveal": "eye",
    "download": "arrow-down-tray",
    "upload": "arrow-up-tray",
    "search": "magnifying-glass",
    "filter": "funnel",
    "columns": "view-columns",
    "sort": "arrow-down",
    "more": "ellipsis-horizontal",
    "close": "x-mark",
    "add": "plus",
    "edit": "pencil",
    "settings": "cog-6-tooth",
    "connect": "link",
    "disconnect": "link-slash",
    "home": "home",
    # states; the glyph says the same as the word beside it
    "progress": "ellipsis-horizontal-circle",
    "running": "ellipsis-horizontal-circle",
    "done": "check-circle",
    "good": "check-circle",
    "dot": "check-circle",
    "check": "check",
    "failed": "x-circle",
    "danger": "x-circle",
    "attention": "exclamation-triangle",
    "warning": "exclamation-triangle",
    "expiring": "clock",
    "clock": "clock",
    "canceled": "no-symbol",
    "refused": "hand-raised",
    "paused": "pause",
    "inactive": "minus-circle",
    "waiting": "clock",
    "ring": "minus-circle",
    "skipped": "forward",
    "skip": "forward",
    "observed": "eye",
    "unknown": "question-mark-circle",
    "neutral": "information-circle",
    # facts
    "info": "information-circle",
    "lock": "lock-closed",
    "price": "chart-bar",
    "person": "user",
    "calendar": "calendar",
    "document": "document-text",
    "tag": "tag",
    "outage": "signal-slash",
}


def glyph(name: str) -> str:
    """The Heroicons name behind one of ours; a name that is not in the table is taken as Heroicons' own."""
    return ICONS.get(name, name)
