"""The list of instances as a file. Its one rule: the same filter as the list, so that the file holds what the screen shows."""

from django.http import QueryDict, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.urls import reverse
from django.views.decorators.http import require_GET

from dashboard.forms.instance_filter import COLUMNS, InstanceFilter
from dashboard.permissions import requires
from dashboard.person import PersonRequest
from dashboard.services import exports
from dashboard.services.errors import Refused
from dashboard.services.exports import Export

NOT_EXPORTED = ("after", "before", "page", "size", "stamp", "format")
CONTENT_TYPES = {
    "csv": "text/csv; charset=utf-8",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}
CHUNKS = {"csv": exports.csv_chunks, "xlsx": exports.xlsx_chunks}


@requires("instance.export")
@require_GET
def instances(request: PersonRequest) -> HttpResponseBase:
    """Every row and the shown columns of the list that this address names, as CSV or XLSX."""
    kind = request.GET.get("format", "csv")
    chosen = InstanceFilter(request.GET, membership=request.membership)
    if kind not in CHUNKS:
        raise Refused("This console writes CSV and XLSX. Choose one of them above the list of instances.")
    if chosen.problems:
        raise Refused("A filter of this list is not understood, so nothing was exported. Open the list to see which.")
    export = Export(
        membership=request.membership,
        search=chosen.search(request.GET),
        columns=tuple((key, COLUMNS[key]) for key in chosen.columns),
        kind=kind,
        is_signed_in=lambda: request.session.exists(request.session.session_key or ""),
    )
    exports.begin(export)
    response = StreamingHttpResponse(CHUNKS[kind](export), content_type=CONTENT_TYPES[kind])
    response.headers["Content-Disposition"] = f'attachment; filename="{export.filename()}"'
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Cache-Control"] = "no-store"
    return response


def export_url(query: QueryDict, chosen: InstanceFilter) -> str:
    """The address of the list's export, to which a page adds the format; empty where the list is not what was asked for.

    A file does not carry the page's word that it holds more than that.
    """
    if chosen.problems:
        return ""
    asked = query.copy()
    for name in NOT_EXPORTED:
        asked.pop(name, None)
    if chosen.only:  # on the page of a workflow, which the address of the list does not name
        asked["workflow"] = str(chosen.only.pk)
        asked["cols"] = ",".join(chosen.columns)
    return f"{reverse('instance-export')}?{asked.urlencode()}{'&' if asked else ''}format="
