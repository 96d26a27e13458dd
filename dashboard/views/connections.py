"""A person's connection to Docusign and their accounts. Its one rule: nobody sees or ends another person's connection."""

from django.contrib import messages
from django.contrib.auth import logout
from django.http import HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST

from dashboard import htmx
from dashboard.forms.connections import SwitchForm
from dashboard.forms.strict import DeedForm
from dashboard.models import Connection
from dashboard.permissions import requires
from dashboard.person import PersonRequest
from dashboard.services import connections, grants, meter, service_user
from dashboard.services.errors import Refused

WITHDRAWN = (
    "Disconnected: this console holds no token of yours any more, and you are signed out everywhere. To withdraw the consent "
    "itself, open your Docusign profile, Privacy and security, Connected apps, and remove this console there."
)
EFFECTS = [
    {"icon": "disconnect", "text": "The console deletes your tokens and signs you out in every browser."},
    {"icon": "waiting", "text": "What waits to be sent in your name is not sent until you connect again."},
    {"icon": "running", "text": "Instances that run at Docusign go on."},
    {"icon": "undo", "text": "Signing in again connects you again."},
]


@require_http_methods(["GET", "HEAD"])
@requires("connection.view")
def index(request: PersonRequest) -> HttpResponse:
    connection = Connection.objects.filter(user=request.user).first()
    context = {
        "connection": connection,
        "ends_at": grants.grant_ends_at(connection) if connection else None,
        "rows": request.memberships,
        "service": service_user.notice_for(request.membership),
        "meter": meter.meter_of(request.membership),
    }
    return htmx.render(request, "connections/index.html", "connections/_connection.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@requires("connection.disconnect")
def disconnect(request: PersonRequest) -> HttpResponse:
    form = DeedForm(request.POST if request.method == "POST" else None)
    connection = Connection.objects.filter(user=request.user).first()
    if request.method == "POST" and form.is_valid() and connection is not None:
        connections.disconnect(connection, actor=request.user)
        logout(request)
        messages.success(request, WITHDRAWN)
        return htmx.go(request, reverse("signin"))
    context = {
        "title": "Disconnect from Docusign?",
        "action_url": reverse("connection-disconnect"),
        "verb": "Disconnect",
        "keep_label": "Stay connected",
        "keep_url": reverse("connections"),
        "names": [{"name": request.user.name, "note": request.user.email}],
        "effects": EFFECTS,
        "form": form,
    }
    status = 422 if form.errors else 200
    return htmx.render(request, "connections/disconnect.html", "components/_dialog.html", context, status=status)


@require_POST
@requires("account.switch")
def switch(request: PersonRequest) -> HttpResponse:
    form = SwitchForm(request.POST, memberships=request.memberships)
    if not form.is_valid():
        raise Refused("You do not belong to that account in this console. Nothing was changed.")
    request.session["account"] = form.cleaned_data["account"]
    messages.success(request, f"You now work in {form.chosen_name()}.")
    return redirect("overview")
