"""Where Docusign Connect sends its events. Its one rule: no session, no cookie, no redirect, no page; only a status (W-11)."""

from django.conf import settings
from django.db import Error as DatabaseFailure
from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt

from dashboard.facts import current_facts
from dashboard.permissions import public
from dashboard.raw_body import BodyRefused, read_body
from dashboard.services import hooks
from dashboard.services.hooks import Outcome

BODY_SECONDS = 5.0
STATUS = {Outcome.TAKEN: 204, Outcome.FOREIGN: 204, Outcome.FORGED: 401, Outcome.FLOOD: 429}
RETRY = {429: "60", 503: "30"}


@public
@csrf_exempt
def receive(request: HttpRequest, token: str) -> HttpResponse:
    """Take one event: 2xx only when it is stored, or needs no storing."""
    if request.method != "POST":
        return _answer(405, Allow="POST")
    try:
        hook = hooks.find_hook(token)
        if hook is None:
            return _answer(404)
        body = read_body(request.META, limit=settings.CONNECT_MAX_BODY_BYTES, seconds=BODY_SECONDS)
        outcome = hooks.receive(hook, body, request.headers, address=current_facts().ip)
    except BodyRefused as refusal:
        return _answer(refusal.status)
    except DatabaseFailure:  # never a false 2xx: Docusign sends it again (W-4)
        return _answer(503)
    return _answer(STATUS[outcome])


def _answer(status: int, **headers: str) -> HttpResponse:
    response = HttpResponse(status=status, headers={"Cache-Control": "no-store"} | headers)
    if status in RETRY:
        response.headers["Retry-After"] = RETRY[status]
    # The token in the address is half a secret; Django would write the address of each refusal into the log.
    response._has_been_logged = True  # type: ignore[attr-defined]  # Django's own mark
    return response
