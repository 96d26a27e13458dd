"""Answers for probes and the demo. Their one rule: they tell states, never settings or versions."""

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseNotFound, JsonResponse
from django.utils.crypto import constant_time_compare
from django.views.decorators.http import require_safe
from prometheus_client import CONTENT_TYPE_LATEST

from dashboard import request_metrics
from dashboard.addresses import client_address, is_among
from dashboard.permissions import public
from dashboard.services import health
from dashboard.services import metrics as table_metrics


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


@public
@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """Figures for Prometheus, to those whom METRICS_ALLOWED or METRICS_TOKEN lets; to others there is nothing here."""
    if not _may_watch(request):
        return HttpResponseNotFound()
    return HttpResponse(request_metrics.exposition() + table_metrics.exposition(), content_type=CONTENT_TYPE_LATEST)


def _may_watch(request: HttpRequest) -> bool:
    kind, _, token = request.headers.get("Authorization", "").partition(" ")
    if settings.METRICS_TOKEN and kind == "Bearer" and constant_time_compare(token, settings.METRICS_TOKEN):
        return True
    address = client_address(request.META)
    if request.headers.get("X-Forwarded-For") and address == request.META.get("REMOTE_ADDR"):
        return False  # through a proxy that is not in TRUSTED_PROXIES, whose own address says nothing of who asks
    return is_among(address, tuple(settings.METRICS_ALLOWED))
