"""The check of the rows of a file, corrected rows, and the dry run. Its one rule: it shows what will be sent and sends nothing."""

from typing import Any

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_safe

from dashboard import htmx
from dashboard.forms.preview import request_text
from dashboard.forms.sheets import RowsForm, WayOnForm
from dashboard.models import Batch, BatchItem, ItemState
from dashboard.permissions import requires
from dashboard.person import PersonRequest
from dashboard.services import batch_preview, obstacles, sheet_rows
from dashboard.services.errors import Refused
from dashboard.services.lists import page_of
from dashboard.uploads import takes_file, was_too_large
from dashboard.views.frames import frame
from dashboard.views.sheets import asked_by, attachment, preparing, read_rows
from dashboard.wording import plural

SIZE = 25
ADDED = "rows_added"  # in the session: the one-time key of the rows that were added last


@requires("batch.run")
@require_http_methods(["GET", "HEAD", "POST"])
@preparing
def check(request: PersonRequest, batch: Batch) -> HttpResponseBase:
    """What the check found; from here on to the question, or back."""
    if batch.sheet.checked_at is None:
        return redirect("batch-columns", batch.pk)
    if request.method != "POST":
        return _show(request, batch, RowsForm())
    way = WayOnForm(request.POST)
    if not way.is_valid():
        raise Refused("The form of this page was not understood. Load it again. Nothing was sent.")
    if way.cleaned_data["again"]:
        return _check_again(request, batch)
    report = sheet_rows.report_of(batch)
    if sheet_rows.drift_of(batch) or way.cleaned_data["go"] != report.good:
        return _show(request, batch, RowsForm(), status=422)  # the page was older than the list
    if report.bad:
        sheet_rows.drop_invalid(batch)
    return redirect("batch-confirm", batch.pk)


def _check_again(request: PersonRequest, batch: Batch) -> HttpResponse:
    """With the columns as they are; where the workflow asks for something new, the columns have to be looked at first."""
    sheet = batch.sheet
    try:
        sheet_rows.check_sheet(
            batch,
            membership=request.membership,
            mapping=sheet.mapping,
            name_column=sheet.name_column,
            name_pattern=sheet.name_pattern,
            key_columns=sheet.key_columns,
        )
    except Refused as refusal:
        messages.warning(request, refusal.message)
        return redirect("batch-columns", batch.pk)
    messages.success(request, "The rows were checked again.")
    return redirect("batch-check", batch.pk)


@takes_file
@requires("batch.run")
@require_http_methods(["GET", "HEAD", "POST"])
@preparing
def rows(request: PersonRequest, batch: Batch) -> HttpResponseBase:
    """GET: the rows with errors as a file to correct. POST: take corrected rows in."""
    if request.method != "POST":
        return _errors_file(request, batch)
    form = RowsForm(request.POST, request.FILES, is_too_large=was_too_large(request))
    table = read_rows(form)
    if table is None:
        return _show(request, batch, form, status=422)
    mark = f"{batch.pk}:{form.cleaned_data['key']}"
    if request.session.get(ADDED) == mark:  # the same form once more (U-7)
        return redirect("batch-check", batch.pk)
    try:
        sheet_rows.add_rows(batch, table, membership=request.membership)
    except Refused as refusal:
        form.add_error(form.place, refusal.message)
        return _show(request, batch, form, status=422)
    request.session[ADDED] = mark
    messages.success(request, f"{plural(len(table.rows), 'row')} taken in, and all were checked again.")
    return redirect("batch-check", batch.pk)


def _errors_file(request: PersonRequest, batch: Batch) -> HttpResponse:
    """Values of the rows, so for their own person only (V-4)."""
    if batch.actor_id != request.user.pk:
        raise Http404
    if batch.sheet.checked_at is None:
        return redirect("batch-columns", batch.pk)
    return attachment(sheet_rows.corrections(batch), "text/csv; charset=utf-8", "rows-with-errors.csv")


@requires("batch.run")
@require_safe
@preparing
def item(request: PersonRequest, batch: Batch, position: int) -> HttpResponse:
    """One row exactly as it will be sent; the person's own rows only (V-4)."""
    if batch.actor_id != request.user.pk:
        raise Http404
    found = get_object_or_404(batch.items, position=position)
    context = {
        **frame(request),
        "batch": batch,
        "workflow": batch.workflow,
        "item": found,
        "preview": request_text(sheet_rows.preview_item(found)) if found.sealed_inputs else "",
        "problems": found.problems,
        "warning": "" if found.problems else found.message,
        "shown": f"{position:,} of {plural(batch.total, 'row')}",
        "newer_url": _item_url(batch, position - 1),
        "older_url": _item_url(batch, position + 1),
    }
    return htmx.render(request, "sheets/item.html", "sheets/item.html", context)


def _item_url(batch: Batch, position: int) -> str | None:
    return reverse("batch-item", args=[batch.pk, position]) if 1 <= position <= batch.total else None


def _show(request: PersonRequest, batch: Batch, form: RowsForm, *, status: int = 200) -> HttpResponse:
    report = sheet_rows.report_of(batch)
    wrong = (ItemState.INVALID, ItemState.LEFT_OUT)
    errors, errors_pager = _listed(request, batch, wrong, report.bad + report.left_out, "errors")
    ready, ready_pager = _listed(request, batch, (ItemState.WAITING,), report.good, "ready")
    context = {
        **frame(request),
        "batch": batch,
        "workflow": batch.workflow,
        "report": report,
        "wrong": report.bad + report.left_out,
        "changes": sheet_rows.drift_of(batch),
        "obstacle": _obstacle(request, batch),
        "price": batch_preview.preview_of(batch),
        "errors": [(row, *problem) for row in errors for problem in row.problems],
        "errors_pager": errors_pager,
        "ready": ready,
        "ready_pager": ready_pager,
        "form": form,
        "shows_values": batch.actor_id == request.user.pk,
    }
    return htmx.render(request, "sheets/check.html", "sheets/_check.html", context, status=status)


def _obstacle(request: PersonRequest, batch: Batch) -> str:
    """Why it cannot be started now."""
    if batch.actor_id != request.user.pk:
        return f"Only {batch.actor} can start it, because it runs with that person's own connection to Docusign."
    return obstacles.trigger_obstacle(asked_by(batch)[0], request.membership)


def _listed(
    request: PersonRequest, batch: Batch, states: tuple[ItemState, ...], total: int, prefix: str
) -> tuple[list[BatchItem], dict[str, Any]]:
    """A page of rows in the order of the file. Two such lists stand on one page, so each has words of its own in the address."""
    found = page_of(
        batch.items.filter(state__in=states).defer("sealed_inputs"),
        "position",
        size=SIZE,
        after=request.GET.get(f"{prefix}_after", ""),
        before=request.GET.get(f"{prefix}_before", ""),
        is_descending=False,
    )
    return found.rows, {
        "shown": f"{len(found.rows):,} of {plural(total, 'row')}",
        "newer_url": _beside(request, batch, prefix, before=found.newer),
        "older_url": _beside(request, batch, prefix, after=found.older),
    }


def _beside(request: PersonRequest, batch: Batch, prefix: str, **cursor: str | None) -> str | None:
    query = request.GET.copy()
    for name in ("after", "before"):
        query.pop(f"{prefix}_{name}", None)
    [(name, value)] = cursor.items()
    if value is None:
        return None
    query[f"{prefix}_{name}"] = value
    return f"{reverse('batch-check', args=[batch.pk])}?{query.urlencode()}#{prefix}"
