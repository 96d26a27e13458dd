"""The team page. Its one rule: everybody of the account may look, only admins may change."""

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST

from dashboard import htmx, permissions
from dashboard.forms.team import ReadingForm, RoleForm
from dashboard.models import Membership, Role
from dashboard.permissions import requires
from dashboard.person import PersonRequest
from dashboard.services import team
from dashboard.services.errors import Refused


@require_http_methods(["GET", "HEAD"])
@requires("team.view")
def index(request: PersonRequest) -> HttpResponse:
    context = {
        "members": list(team.members_of(request.account)),
        "admins": [each for each in team.members_of(request.account) if each.role == Role.ADMIN and each.is_active],
        "why_not": permissions.reason(request.membership, "team.change"),
    }
    return htmx.render(request, "team/index.html", "team/_members.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@requires("team.change")
def change_role(request: PersonRequest, membership_id: int) -> HttpResponse:
    member = get_object_or_404(team.members_of(request.account), pk=membership_id, is_active=True)
    form = RoleForm(request.POST if request.method == "POST" else None, initial={"role": member.role})
    if request.method == "POST" and form.is_valid():
        try:
            team.change_role(member, actor=request.user, role=Role(form.cleaned_data["role"]))
        except Refused as refusal:
            form.add_error("role", refusal.message)
        else:
            messages.success(request, f"{member.user} is now {member.get_role_display().lower()} of {member.account}.")
            return htmx.done(request, reverse("team"), "teamChanged", "closeDialog")
    return _question(request, member, form)


@requires("team.change")
@require_POST
def change_reading(request: PersonRequest, membership_id: int) -> HttpResponse:
    member = get_object_or_404(team.members_of(request.account), pk=membership_id, is_active=True)
    form = ReadingForm(request.POST)
    if not form.is_valid():
        raise Refused("Say yes or no. Nothing was changed.")
    may_sync = form.cleaned_data["may_sync"]
    if team.change_reading(member, actor=request.user, may_sync=may_sync):
        word = "may now" if may_sync else "no longer"
        verb = "read" if may_sync else "reads"
        messages.success(request, f"The connection of {member.user} {word} {verb} the account for everybody.")
    return htmx.done(request, reverse("team"), "teamChanged")


def _question(request: PersonRequest, member: Membership, form: RoleForm) -> HttpResponse:
    context = {
        "title": f"Change the role of {member.user}?",
        "action_url": reverse("team-role", args=[member.pk]),
        "verb": "Change the role",
        "tone": "primary",
        "keep_label": "Keep it as it is",
        "keep_url": reverse("team"),
        "names": [{"name": member.user.name, "note": f"{member.get_role_display()} now"}],
        "effects": [
            {"icon": "person", "text": "The new role counts from this person's next click."},
            {"icon": "info", "text": "Rights at Docusign do not change; what Docusign refuses stays refused."},
            {"icon": "undo", "text": "An admin can change it back at any time. The change is in the audit."},
        ],
        "form": form,
    }
    status = 422 if form.errors else 200
    return htmx.render(request, "team/role.html", "components/_dialog.html", context, status=status)
