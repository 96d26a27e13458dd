"""A person's preferences. Its one rule: theme and shortcuts are kept by the browser, so they work signed out as well."""

from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST

from dashboard import htmx
from dashboard.forms.preferences import PreferencesForm, ThemeForm, ZoneForm
from dashboard.permissions import public
from dashboard.person import PersonRequest
from dashboard.services import preferences
from dashboard.services.sign_in_gate import local_path

YEAR = 31_536_000


@public
@require_POST
def theme(request: HttpRequest) -> HttpResponse:
    form = ThemeForm(request.POST)
    response = redirect(local_path(request.POST.get("next")))
    if form.is_valid():
        _keep(response, settings.THEME_COOKIE_NAME, form.cleaned_data["theme"], is_http_only=True)
    return response


@require_http_methods(["GET", "HEAD", "POST"])
def page(request: PersonRequest) -> HttpResponse:
    present = {"time_zone": request.user.time_zone, "shortcuts": request.COOKIES.get("keys") != "off"}
    form = PreferencesForm(request.POST if request.method == "POST" else None, initial=present)
    if request.method == "POST" and form.is_valid():
        preferences.set_time_zone(request.user, time_zone=form.cleaned_data["time_zone"])
        messages.success(request, "Your preferences are kept.")
        response = redirect("preferences")
        # The script that listens to keys reads this cookie; it holds nothing but on or off.
        _keep(response, "keys", "on" if form.cleaned_data["shortcuts"] else "off", is_http_only=False)
        return response
    return render(request, "preferences/index.html", {"form": form}, status=422 if form.errors else 200)


@require_POST
def zone(request: PersonRequest) -> HttpResponse:
    """Take over the browser's zone once; afterwards only the person changes it."""
    form = ZoneForm(request.POST)
    if not form.is_valid():
        return HttpResponse(status=422)
    if preferences.adopt_time_zone(request.user, time_zone=form.cleaned_data["time_zone"]):
        place = form.cleaned_data["time_zone"].replace("_", " ")
        messages.info(request, f"Times are shown in the zone of your browser, {place}.", reverse("preferences"))
    return htmx.done(request, reverse("overview"), "zoneChanged")


def _keep(response: HttpResponse, name: str, value: str, *, is_http_only: bool) -> None:
    response.set_cookie(name, value, max_age=YEAR, secure=settings.IS_TLS, httponly=is_http_only, samesite="Lax")
