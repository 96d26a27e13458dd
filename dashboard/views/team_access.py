"""Switching a member's access off and on. Its one rule: only admins of the account do it, and never to themselves."""

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST

from dashboard import htmx
from dashboard.forms.strict import DeedForm
from dashboard.models import Membership
from dashboard.permissions import requires
from dashboard.person import PersonRequest
from dashboard.services import team, team_access
from dashboard.services.errors import Refused
from dashboard.views.questions import only_a_deed

EFFECTS = [
    {
        "icon": "disconnect",
        "text": "This person is signed out everywhere at once, and cannot come back by signing in again.",
    },
    {"icon": "waiting", "text": "What waits to be sent in this person's name is not sent; their bulk runs are held."},
    {
        "icon": "running",
        "text": "Instances that run at Docusign go on, and so does this person's access to Docusign itself.",
    },
    {"icon": "undo", "text": "An admin can switch it on again at any time. Both are in the audit."},
]


@require_http_methods(["GET", "HEAD", "POST"])
@requires("team.change")
def switch_off(request: PersonRequest, membership_id: int) -> HttpResponse:
    member = get_object_or_404(team.members_of(request.account), pk=membership_id, barred_at=None)
    form = DeedForm(request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        try:
            team_access.switch_off(member, actor=request.user)
        except Refused as refusal:
            form.add_error(None, refusal.message)
        else:
            messages.success(request, f"The access of {member.user} to {member.account} is switched off.")
            return htmx.done(request, reverse("team"), "teamChanged", "closeDialog")
    return _question(request, member, form)


@requires("team.change")
@require_POST
def switch_on(request: PersonRequest, membership_id: int) -> HttpResponse:
    member = get_object_or_404(team.members_of(request.account), pk=membership_id)
    only_a_deed(request)
    team_access.switch_on(member, actor=request.user)
    messages.success(request, f"{member.user} can sign in again.")
    return htmx.done(request, reverse("team"), "teamChanged")


def _question(request: PersonRequest, member: Membership, form: DeedForm) -> HttpResponse:
    context = {
        "title": f"Switch off the access of {member.user}?",
        "action_url": reverse("team-switch-off", args=[member.pk]),
        "verb": "Switch off the access",
        "keep_label": "Keep it on",
        "keep_url": reverse("team"),
        "names": [{"name": member.user.name, "note": member.get_role_display()}],
        "effects": EFFECTS,
        "form": form,
    }
    status = 422 if form.errors else 200
    return htmx.render(request, "team/switch_off.html", "components/_dialog.html", context, status=status)
