"""The entries of the rail. Its one rule: an entry leads to a page that exists."""

from dataclasses import dataclass

from django.urls import reverse


@dataclass(frozen=True, slots=True)
class Entry:
    """One link; `count` is shown beside it when something waits there."""

    label: str
    url: str
    icon: str
    current: bool
    count: int = 0
    tone: str = "danger"
    count_label: str = "need a person"


ENTRIES = (
    ("overview", "Overview"),
    ("workflows", "Workflows"),
    ("instances", "Instances"),
    ("batches", "Bulk runs"),
    ("audit", "Audit"),
    ("team", "Team"),
    ("connections", "Connections"),
    ("connect", "Events"),
    ("preferences", "Preferences"),
)
ICONS = {"preferences": "settings", "connect": "events"}
ALSO = {"batches": "approvals", "preferences": "sessions"}  # pages that belong to an entry, at an address of their own


def entries(path: str, *, needs: int = 0, running: int = 0, approvals: int = 0) -> list[Entry]:
    """The rail for a page; the entry whose address begins the path is the current one.

    `needs` wait on the overview; so many bulk runs are `running`, or `approvals` of them wait for this person, which is said instead.
    """
    counts = {"overview": needs, "batches": approvals or running}
    found = []
    for name, label in ENTRIES:
        url = reverse(name)
        places = (url, reverse(ALSO[name])) if name in ALSO else (url,)
        is_current = path == url if name == "overview" else path.startswith(places)
        words = ("running", "running") if name == "batches" else ("danger", "need a person")
        if name == "batches" and approvals:
            words = ("warning", "wait for your approval")
        found.append(Entry(label, url, ICONS.get(name, name), is_current, counts.get(name, 0), *words))
    return found
