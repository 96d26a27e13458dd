"""Answers for probes and the demo. Their one rule: they tell states, never settings or versions."""

from django.http import HttpRequest, JsonResponse
from django.views.decorators.http import require_safe

from dashboard.permissions import public
from dashboard.services import health


@public
@require_safe
def livez(request: HttpRequest) -> JsonResponse:
    """This process answers."""
    return JsonResponse({"status": "alive"})


@public
@require_safe
def readyz(request: HttpRequest) -> JsonResponse:
    """This process can serve: 200, or 503 with the part that cannot."""
    readiness = health.readiness()
    return JsonResponse(readiness.as_dict(), status=200 if readiness.is_ready else 503)
