"""Measures pages over a database that `scale_rows` filled; runs in a process of its own, since Django takes one database a process.

`python -m tests.benchmarks.scale_pages fill ROWS` or `... measure`; figures are printed as JSON, one a line.
"""

import json
import re
import resource
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from html import unescape

import django

django.setup()

from django.contrib import admin  # noqa: E402  # models can be imported only once Django is set up
from django.test import Client, RequestFactory  # noqa: E402
from django.utils import timezone  # noqa: E402

from dashboard.models import Instance, Membership, Workflow  # noqa: E402
from dashboard.services import instance_lists  # noqa: E402
from tests.benchmarks import scale_rows  # noqa: E402
from tests.benchmarks.figures import milliseconds, p95  # noqa: E402

SORTS = ("changed", "name", "workflow", "state", "steps", "by", "started", "expires")
ROUNDS = 3
DEEP = 1_000
EXPORTED_DAYS = 100
Found = dict[str, object]


def filters() -> dict[str, str]:
    """One of each filter, as a person would set it."""
    now = timezone.now()
    day = {days: (now - timedelta(days=days)).strftime("%Y-%m-%d") for days in (7, 200, 380, 400)}
    small, large = (Workflow.objects.order_by("name")[place].pk for place in (150, 0))
    starter = Instance.objects.filter(started_by_name="Person 007").values_list("started_by", flat=True)[0]
    return {
        "none": "",
        "running": "state=running",
        "failed": "state=failed",
        "expiring": "state=expiring",
        "completed": "state=completed",
        "canceled": "state=canceled",
        "other": "state=other",
        "workflow": f"workflow={small}",
        "large_workflow": f"workflow={large}",
        "starter": f"by={starter}",
        "me": "by=me",
        "started_week": f"started_from={day[7]}",
        "started_month_long_ago": f"started_from={day[400]}&started_until={day[380]}",
        "changed_week": f"changed_from={day[7]}",
        "changed_since_long": f"changed_from={day[200]}",
        "expires_week": "expires=7",
        "steps": "steps=5",
        "rare_name": "name=123456",
        "common_name": "name=lindqvist",
        "here": "origin=here",
        "elsewhere": "origin=elsewhere",
    }


def client_of(name: str) -> Client:
    membership = Membership.objects.get(user__name=name)
    client = Client()
    client.force_login(membership.user, backend="dashboard.authentication.DocusignBackend")
    return client


def visit(client: Client, path: str) -> str:
    answer = client.get(path)
    assert answer.status_code == 200, (path, answer.status_code)
    return str(answer.content.decode())


def lists() -> Iterator[Found]:
    """The first page under every single filter and every sort, for a manager and for somebody with 5,000 rows of their own."""
    for person in ("Ada Admin", "Pia Preparer"):
        client, short = client_of(person), person.split()[0].lower()
        visit(client, "/instances/")
        taken: dict[str, list[float]] = {}
        for name, query in filters().items():
            for sort in (f"{sign}{column}" for column in SORTS for sign in ("", "-")):
                path = f"/instances/?{query}&sort={sort}"
                taken[f"{name} by {sort}"] = milliseconds(lambda path=path, client=client: visit(client, path), ROUNDS)
            scale_rows.refresh_proofs()
        everything = [value for values in taken.values() for value in values]
        yield {"name": f"list_p95_{short}", "value": p95(everything)}
        worst = max(taken, key=lambda name: statistics.median(taken[name]))
        yield {"name": f"list_worst_{short}", "value": statistics.median(taken[worst]), "note": worst}


def first() -> Iterator[Found]:
    """The plain first page, which is set against the same page of a small table."""
    for person in ("Ada Admin", "Pia Preparer"):
        client = client_of(person)
        taken = milliseconds(lambda client=client: visit(client, "/instances/"), 30)
        yield {"name": f"first_page_{person.split()[0].lower()}", "value": statistics.median(taken[5:])}


def deep() -> Iterator[Found]:
    """Page 1,000, reached as people reach it: by the link to the next page. In turns with the first one, since machines vary."""
    client = client_of("Ada Admin")
    path = "/instances/"
    for _ in range(DEEP - 1):
        match = re.search(r'rel="next" href="([^"]+)"', visit(client, path))
        assert match, path
        path = "/instances/" + unescape(match.group(1))
    taken: dict[str, list[float]] = {"/instances/": [], path: []}
    for _ in range(40):
        for each, times in taken.items():
            times += milliseconds(lambda each=each: visit(client, each), 1)
    begin, page = map(statistics.median, taken.values())
    yield {"name": "page_1000_to_first_page", "value": page / begin}


def parts() -> Iterator[Found]:
    client = client_of("Ada Admin")
    membership = Membership.objects.select_related("account", "user__connection").get(user__name="Ada Admin")
    yield timed("tabs_p95", lambda: instance_lists.tabs_for(membership, instance_lists.Search()))
    yield timed("typeahead_p95", lambda: visit(client, "/instances/workflows/?q=sup"))
    yield timed("typeahead_people_p95", lambda: visit(client, "/instances/people/?q=pers"))
    some = Instance.objects.order_by("-sort_at").values_list("pk", flat=True)[500]
    yield timed("detail_p95", lambda: visit(client, f"/instances/{some}/"))
    yield timed("overview_p95", lambda: visit(client, "/"))
    yield timed("workflows_p95", lambda: visit(client, "/workflows/"))
    yield timed("workflow_p95", lambda: visit(client, f"/workflows/{Workflow.objects.order_by('name')[0].pk}/"))


def timed(name: str, deed: Callable[[], object], times: int = 40) -> Found:
    deed()
    return {"name": name, "value": p95(milliseconds(deed, times))}


class Changelist(admin.ModelAdmin):
    """Django's own list over the same table, with the same columns and number of rows."""

    list_display = (
        "name", "workflow", "status", "last_completed_step", "started_by_name", "started_at", "last_modified_at", "expires_at",
    )  # fmt: skip
    list_per_page = 25
    list_select_related = ("workflow",)
    ordering = ("-sort_at",)

    def has_view_permission(self, request: object, obj: object = None) -> bool:
        return True


def peer() -> Iterator[Found]:
    """The same first page in Django's admin: the median of a few visits of each."""
    site = admin.AdminSite()
    site.has_permission = lambda request: True  # type: ignore[method-assign]  # nobody signs in to the peer
    changelist = Changelist(Instance, site)
    user = Membership.objects.get(user__name="Ada Admin").user
    user.has_perm = user.has_module_perms = lambda *_: True  # type: ignore[attr-defined]  # asked of every admin user

    def theirs() -> None:
        request = RequestFactory().get("/admin/dashboard/instance/")
        request.user = user
        response = changelist.changelist_view(request)
        response.template_name = "admin/change_list_results.html"
        assert len(response.context_data["cl"].result_list) == 25

    client = client_of("Ada Admin")
    ours = statistics.median(milliseconds(lambda: visit(client, "/instances/"), 20))
    yield {"name": "admin_changelist_to_ours", "value": statistics.median(milliseconds(theirs, 5)) / ours}


def export() -> Iterator[Found]:
    """CSV of about 100,000 rows: seconds for 100,000, and what the process grew by."""
    client = client_of("Ada Admin")
    since = (timezone.now() - timedelta(days=EXPORTED_DAYS)).strftime("%Y-%m-%d")
    list(client.get(f"/instances/export/?format=csv&started_from={timezone.now():%Y-%m-%d}").streaming_content)
    before, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.perf_counter()
    answer = client.get(f"/instances/export/?format=csv&started_from={since}")
    assert answer.status_code == 200, answer.status_code
    rows = sum(piece.count(b"\r\n") for piece in answer.streaming_content)
    taken = time.perf_counter() - start
    yield {"name": "csv_of_100000_rows", "value": taken * 100_000 / max(rows, 1), "note": f"{rows} rows"}
    yield {"name": "csv_memory", "value": (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1000}


def measure(parts_wanted: list[str]) -> Iterator[Found]:
    scale_rows.refresh_proofs()
    everything = {"first": first, "lists": lists, "deep": deep, "parts": parts, "peer": peer, "export": export}
    for name in parts_wanted or list(everything):
        yield from everything[name]()
        scale_rows.refresh_proofs()


if __name__ == "__main__":
    if sys.argv[1] == "fill":
        scale_rows.fill(int(sys.argv[2]))
    else:
        for found in measure(sys.argv[2:]):
            print(json.dumps(found), flush=True)
