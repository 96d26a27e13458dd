"""The audit. Its one rule: it is read here, never written, and shows no more than the person may see."""

from dataclasses import fields
from typing import Any

from django.http import HttpResponse
from django.views.decorators.http import require_safe

from dashboard import htmx
from dashboard.deeds import words_for
from dashboard.forms.filters import AuditFilter
from dashboard.models import AuditEntry, Look
from dashboard.permissions import requires
from dashboard.person import PersonRequest
from dashboard.services import audit_lists
from dashboard.services.audit_lists import AuditSearch
from dashboard.views.frames import pager

Result = AuditEntry.Result
LOOKS = {
    Result.INTENT: Look("Asked for", "neutral", "ring"),
    Result.OK: Look("Done", "good", "done"),
    Result.REFUSED: Look("Refused", "danger", "failed", loud=True),
    Result.FAILED: Look("Failed", "danger", "failed", loud=True),
    Result.UNKNOWN: Look("Unknown outcome", "unknown", "unknown"),
}

LOUD = {"approval.broken": Look("Without a second person", "danger", "attention", loud=True)}


@requires("audit.view")
@require_safe
def index(request: PersonRequest) -> HttpResponse:
    """Who did what to what, newest first."""
    mine = request.membership
    choices = audit_lists.choices_of(mine)
    deeds = [(code, words_for(code)) for code in choices.deeds]
    chosen = AuditFilter(request.GET, people=choices.people, deeds=deeds)
    search = _searched(chosen, request)
    page = audit_lists.find_entries(mine, search)
    hidden = audit_lists.hidden_among(mine, page.rows)
    context = {
        "filter": chosen,
        "rows": [
            (entry, words_for(entry.action), look_of(entry), "hidden" if entry.seq in hidden else _target(entry))
            for entry in page.rows
        ],
        **pager(request, page, search.size),
    }
    return htmx.render(request, "audit/index.html", "audit/_audit.html", context)


def look_of(entry: AuditEntry) -> Look:
    """The result; what was started without the second person it needed is never told as simply done."""
    return LOUD.get(entry.action) or LOOKS[Result(entry.result)]


def _searched(chosen: AuditFilter, request: PersonRequest) -> AuditSearch:
    cleaned = {name: value for name, value in chosen.cleaned_data.items() if value}
    names = {field.name for field in fields(AuditSearch)}
    wanted: dict[str, Any] = {name: value for name, value in cleaned.items() if name in names}
    about = str(cleaned.get("object", ""))
    return AuditSearch(**wanted, about=about, after=request.GET.get("after", ""), before=request.GET.get("before", ""))


def _target(entry: AuditEntry) -> str:
    """The name of the page of what the entry is about, if it has one."""
    if entry.operation_id and entry.result == Result.UNKNOWN:
        return "operation"
    return entry.object_type if entry.object_type in {"instance", "workflow", "batch"} else ""
