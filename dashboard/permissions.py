"""Who may do what: roles, the table of actions, and the guard of views.

The one rule: a view that needs a right says so by `requires`; a refusal names the right and who can give it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import Any

from django.http import HttpRequest
from django.http.response import HttpResponseBase

from dashboard.models import Membership, Role
from dashboard.services.errors import NotAllowed

View = Callable[..., HttpResponseBase]
_RANK = {Role.VIEWER: 0, Role.OPERATOR: 1, Role.ADMIN: 2}


@dataclass(frozen=True, slots=True)
class Action:
    """A deed, the least role for it, and how it reads in a sentence ("You may not …")."""

    role: Role
    deed: str


ACTIONS: dict[str, Action] = {
    "overview.view": Action(Role.VIEWER, "see the overview"),
    "workflow.view": Action(Role.VIEWER, "see workflows"),
    "workflow.trigger": Action(Role.OPERATOR, "trigger workflows"),
    "workflow.pause": Action(Role.OPERATOR, "pause workflows"),
    "workflow.resume": Action(Role.OPERATOR, "resume workflows"),
    "workflow.mark_key": Action(Role.ADMIN, "choose key inputs"),
    "input_rule.change": Action(Role.ADMIN, "change the rules of inputs"),
    "input_retention.change": Action(Role.ADMIN, "change how long inputs are kept"),
    "preset.use": Action(Role.OPERATOR, "use presets"),
    "preset.save": Action(Role.OPERATOR, "save presets"),
    "instance.view": Action(Role.VIEWER, "see instances"),
    "instance.export": Action(Role.VIEWER, "export instances"),
    "view.use": Action(Role.VIEWER, "use saved views"),
    "view.save": Action(Role.VIEWER, "save views"),
    "instance.cancel": Action(Role.OPERATOR, "cancel instances"),
    "instance.reveal": Action(Role.OPERATOR, "reveal participant links"),
    "batch.run": Action(Role.OPERATOR, "start bulk runs"),
    "batch.view": Action(Role.VIEWER, "see bulk runs"),
    "batch.approve": Action(Role.OPERATOR, "approve bulk runs"),
    "batch.break_glass": Action(Role.ADMIN, "start bulk runs without a second person"),
    "policy.change": Action(Role.ADMIN, "say when a second person is needed"),
    "workflow.stop": Action(Role.OPERATOR, "stop workflows in an emergency"),
    "operation.view": Action(Role.VIEWER, "see what was sent"),
    "operation.settle": Action(Role.OPERATOR, "settle unknown outcomes"),
    "audit.view": Action(Role.VIEWER, "see the audit"),
    "team.view": Action(Role.VIEWER, "see the team"),
    "team.change": Action(Role.ADMIN, "change roles"),
    "session.view": Action(Role.VIEWER, "see your own sessions"),
    "session.end": Action(Role.VIEWER, "end your own sessions"),
    "connection.view": Action(Role.VIEWER, "see connections"),
    "connection.disconnect": Action(Role.VIEWER, "disconnect your own grant"),
    "connect.view": Action(Role.VIEWER, "see the events of Docusign"),
    "connect.change": Action(Role.ADMIN, "set up the events of Docusign"),
    "account.switch": Action(Role.VIEWER, "switch accounts"),
}


def can(membership: Membership | None, action: str) -> bool:
    """Whether the role of this person in this account reaches the action."""
    return membership is not None and _RANK[Role(membership.role)] >= _RANK[ACTIONS[action].role]


def reason(membership: Membership | None, action: str) -> str:
    """Why not, in a sentence for the person; empty when the action is allowed."""
    if can(membership, action):
        return ""
    needed = ACTIONS[action]
    if membership is None:
        return f"To {needed.deed} you need an account of this console."
    mine, least = Role(membership.role).label.lower(), needed.role.label.lower()
    return (
        f"Your role here is {mine}; to {needed.deed} you need the role {least}. An admin can give it on the team page."
    )


def missing_role(membership: Membership | None, action: str) -> str:
    """The same in a word or two, for lists; empty when the action is allowed."""
    return "" if can(membership, action) else f"Needs {ACTIONS[action].role.label}"


def requires(action: str) -> Callable[[View], View]:
    """Guard a view: signed in, in an account, with the role. The middleware turns the refusal into an answer."""
    if action not in ACTIONS:
        raise KeyError(action)

    def decorate(view: View) -> View:
        @wraps(view)
        def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            membership = request.membership  # type: ignore[attr-defined]  # set by PersonMiddleware
            if not can(membership, action):
                raise NotAllowed(reason(membership, action), action=action)
            return view(request, *args, **kwargs)

        guarded.action = action  # type: ignore[attr-defined]  # read by the permission matrix test
        return guarded

    return decorate


def public(view: View) -> View:
    """Mark a view that needs no sign-in."""
    view.is_public = True  # type: ignore[attr-defined]  # read by PersonMiddleware
    return view
