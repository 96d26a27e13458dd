"""Trigger from a file, up to the check: template, rows, columns. Its one rule: only the person who sent the rows sees their values."""

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any
from uuid import UUID

from django.http import Http404, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect
from django.utils import timezone
from django.views.decorators.http import require_GET, require_http_methods

from dashboard import htmx
from dashboard.forms.inputs import input_for
from dashboard.forms.sheets import MAX_RUN_NAME, ColumnsForm, RowsForm, StartForm
from dashboard.models import FREEZING, Batch, BatchState, Contract, OperationKind, Sheet, Workflow
from dashboard.permissions import requires
from dashboard.person import PersonRequest
from dashboard.services import batches, contracts, due, input_rules, obstacles, sheet_rows, sheet_templates, sheets
from dashboard.services.errors import Refused
from dashboard.services.input_values import asked
from dashboard.services.sheets import SheetError, Table
from dashboard.services.sign_in_gate import draft_token, take_draft
from dashboard.services.visibility import visible_batches, visible_workflows
from dashboard.uploads import takes_file, was_too_large
from dashboard.views.frames import frame
from dashboard.wording import day_text

SAMPLE_ROWS = 3
FORMATS = {
    "csv": ("text/csv; charset=utf-8", sheet_templates.csv_template),
    "xlsx": ("application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", sheet_templates.xlsx_template),
}
PreparingView = Callable[..., HttpResponseBase]


@takes_file
@requires("batch.run")
@require_http_methods(["GET", "HEAD", "POST"])
def start(request: PersonRequest, workflow_id: str) -> HttpResponse:
    """Take the rows, as a file or pasted."""
    workflow = get_object_or_404(visible_workflows(request.membership), pk=workflow_id)
    contract = contracts.current_contract(workflow)
    if contract is None:
        due.want_contract(workflow, request.membership)
        context = {**frame(request), "workflow": workflow}
        return htmx.render(request, "sheets/waiting.html", "sheets/_waiting.html", context)
    if request.method != "POST":
        return _show_start(request, workflow, contract, _fresh_start(request, workflow))
    form = StartForm(request.POST, request.FILES, is_too_large=was_too_large(request))
    table = read_rows(form)
    if table is None:
        return _show_start(request, workflow, contract, form, status=422)
    try:
        batch = _begin(request, workflow, contract, form, table)
    except Refused as refusal:
        form.add_error(None, refusal.message)
        form.renew_key()
        return _show_start(request, workflow, contract, form, status=422)
    return redirect("batch-columns", batch.pk)


def read_rows(form: RowsForm) -> Table | None:
    """The rows that the form sent; None when there are none, with the reason beside the field."""
    if not form.is_valid():
        return None
    file = form.cleaned_data["file"]
    try:
        return sheets.read_sheet(file.name, file.chunks()) if file else sheets.read_pasted(form.cleaned_data["pasted"])
    except SheetError as error:
        form.add_error(form.place, str(error))
        return None


def _fresh_start(request: PersonRequest, workflow: Workflow) -> StartForm:
    """A form with a name, or with what this person had typed before the session ended (S-6)."""
    draft = take_draft(request.session, request.user, request.path)
    if draft is not None:
        return StartForm(initial={name: draft.get(name, "") for name in ("name", "reason", "pasted")})
    now = timezone.localtime()
    name = f"{workflow.name[: MAX_RUN_NAME - 40]} – {day_text(now.date(), now.date())} {now.year}, {now:%H:%M}"
    return StartForm(initial={"name": name})


def _begin(request: PersonRequest, workflow: Workflow, contract: Contract, form: StartForm, table: Table) -> Batch:
    batch = batches.create_batch(
        request.account,
        actor=request.user,
        kind=OperationKind.TRIGGER,
        source=Batch.Source.SHEET,
        name=form.cleaned_data["name"],
        key=form.cleaned_data["key"],
        workflow=workflow,
        reason=form.cleaned_data["reason"],
        contract=contract,
    )
    is_repeated = Sheet.objects.filter(batch=batch).exists() and sheet_rows.table_of(batch) == table
    if not is_repeated:
        file = form.cleaned_data["file"]
        sheet_rows.start_sheet(batch, table, file.name if file else "")
    return batch


def _show_start(
    request: PersonRequest, workflow: Workflow, contract: Contract, form: StartForm, *, status: int = 200
) -> HttpResponse:
    context = {
        **frame(request),
        "workflow": workflow,
        "contract": contract,
        "inputs": [
            {"name": spec["name"], "kind": input_for(spec).kind, "is_optional": spec["has_default"]}
            for spec in asked(contract.fields)
        ],
        "form": form,
        "obstacle": obstacles.trigger_obstacle(workflow, request.membership),
        "draft_owner": draft_token(request.user, request.path),
    }
    return htmx.render(request, "sheets/index.html", "sheets/_start.html", context, status=status)


@requires("batch.run")
@require_GET
def template(request: PersonRequest, workflow_id: str) -> HttpResponse:
    """An empty file whose header is what the workflow asks for."""
    workflow = get_object_or_404(visible_workflows(request.membership), pk=workflow_id)
    kind = request.GET.get("format", "csv")
    contract = contracts.current_contract(workflow)
    if kind not in FORMATS:
        raise Refused("This console writes templates as CSV and XLSX. Choose one of them on the page before.")
    if contract is None:
        raise Refused("The inputs of this workflow have not been read yet. Open its page for a file first.")
    content_type, made = FORMATS[kind]
    return attachment(made(contract), content_type, f"template.{kind}")


def attachment(content: bytes, content_type: str, name: str) -> HttpResponse:
    """A file to keep."""
    response = HttpResponse(content, content_type=content_type)
    response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Cache-Control"] = "no-store"
    return response


def preparing(view: PreparingView) -> PreparingView:
    """Give a view the run that is being prepared: its person's own, or for an admin any that they see; else lead to its page."""

    @wraps(view)
    def guarded(request: PersonRequest, batch_id: UUID, *args: Any, **kwargs: Any) -> HttpResponseBase:
        rows = visible_batches(request.membership).filter(source=Batch.Source.SHEET, sheet__isnull=False)
        batch = get_object_or_404(
            rows.select_related("account", "workflow", "contract", "actor", "sheet", "approval"), pk=batch_id
        )
        if not batches.is_theirs(batch, request.membership):
            raise Http404
        is_asked_for = hasattr(batch, "approval") and batch.approval.state in FREEZING
        if batch.state != BatchState.PLANNED or batch.confirmed_at or is_asked_for:
            return redirect("batch", batch.pk)
        return view(request, batch, *args, **kwargs)

    return guarded


@requires("batch.run")
@require_http_methods(["GET", "HEAD", "POST"])
@preparing
def columns(request: PersonRequest, batch: Batch) -> HttpResponse:
    """Which column fills which input; then the check."""
    workflow, present = asked_by(batch)
    table = sheet_rows.table_of(batch)
    if request.method != "POST":
        form = _fresh_columns(batch, table, present)
        return _show_columns(request, batch, table, form, changes=sheet_rows.drift_of(batch))
    digest = request.POST.get("contract", "")
    posted = (workflow.contracts.filter(digest=digest).last() if digest.isalnum() else None) or present
    form = ColumnsForm(asked(posted.fields), table.columns, data=request.POST, rules=input_rules.rules_of(workflow))
    is_valid = form.is_valid()
    if posted.digest != present.digest:
        again = _fresh_columns(batch, table, present, form)
        return _show_columns(request, batch, table, again, changes=differences(posted, present), status=422)
    if not is_valid:
        return _show_columns(request, batch, table, form, status=422)
    return _check(request, batch, table, form)


def asked_by(batch: Batch) -> tuple[Workflow, Contract]:
    """The workflow of the run, and what it asks for now; a run of rows was made with both."""
    present = batch.contract if batch.workflow is None else contracts.current_contract(batch.workflow) or batch.contract
    if batch.workflow is None or present is None:
        raise Http404
    return batch.workflow, present


def _fresh_columns(batch: Batch, table: Table, present: Contract, typed: ColumnsForm | None = None) -> ColumnsForm:
    """The form as it was left, else with a guess; after a change of the workflow with what was typed, by the name of the input."""
    specs, sheet = asked(present.fields), batch.sheet
    names = [spec["name"] for spec in specs]
    guess = sheet_rows.guess_mapping(table.columns, present.fields)
    if typed is not None:
        mapping, (column, pattern), keys = typed.mapping(), typed.name_source(), typed.key_inputs()
    elif sheet.checked_at:
        mapping, column, pattern, keys = sheet.mapping, sheet.name_column, sheet.name_pattern, sheet.key_columns
    else:
        column = sheet_rows.guess_name_column(table.columns, guess)
        pattern = "" if column else f"{batch.workflow} {{{names[0]}}}" if names else str(batch.workflow)
        mapping, keys = {}, []
    initial = {
        "contract": present.digest,
        "name_column": str(table.columns.index(column)) if column in table.columns else "",
        "name_pattern": pattern,
        "key_columns": [str(names.index(name)) for name in keys if name in names],
    }
    rules = input_rules.rules_of(asked_by(batch)[0])
    return ColumnsForm(specs, table.columns, mapping={**guess, **mapping}, initial=initial, rules=rules)


def differences(old: Contract, new: Contract) -> list[str]:
    """What changed between two versions, in sentences; never nothing."""
    if old.digest == new.digest:
        return []
    return [change.sentence for change in contracts.diff(old, new)] or ["It changed since this page was opened."]


def _check(request: PersonRequest, batch: Batch, table: Table, form: ColumnsForm) -> HttpResponse:
    column, pattern = form.name_source()
    try:
        sheet_rows.check_sheet(
            batch,
            membership=request.membership,
            mapping=form.mapping(),
            name_column=column,
            name_pattern=pattern,
            key_columns=form.key_inputs(),
        )
    except Refused as refusal:
        form.add_error(form.place_of(refusal.field), refusal.message)
        return _show_columns(request, batch, table, form, status=422)
    return redirect("batch-check", batch.pk)


def _show_columns(
    request: PersonRequest,
    batch: Batch,
    table: Table,
    form: ColumnsForm,
    *,
    changes: Sequence[str] = (),
    status: int = 200,
) -> HttpResponse:
    first = table.rows[:SAMPLE_ROWS]
    context = {
        **frame(request),
        "batch": batch,
        "workflow": batch.workflow,
        "form": form,
        "sample": [(name, [row[place] for row in first]) for place, name in enumerate(table.columns)],
        "numbers": table.numbers[:SAMPLE_ROWS],
        "rows": len(table.rows),
        "changes": changes,
        "unmatched": sum(field.field.required and not field.value() for field in form.column_fields()),
        "shows_values": batch.actor_id == request.user.pk,
    }
    return htmx.render(request, "sheets/columns.html", "sheets/_columns.html", context, status=status)
