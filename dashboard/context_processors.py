"""What every template may use. Its one rule: nothing here asks Docusign, and an error page works without any of it."""

from typing import Any

from django.conf import settings
from django.http import HttpRequest

from dashboard import navigation
from dashboard.models import Membership, User
from dashboard.services import banners, rail

LABELS = {"production": "Production", "demo": "Demo", "simulator": "Simulator"}


def console(request: HttpRequest) -> dict[str, Any]:
    """The environment, the person's account and memberships, the rail, the banners and the call budget."""
    membership = getattr(request, "membership", None)
    theme = request.COOKIES.get(settings.THEME_COOKIE_NAME, "")
    return {
        "environment_name": settings.DOCUSIGN_ENVIRONMENT,
        "environment_label": LABELS.get(settings.DOCUSIGN_ENVIRONMENT, settings.DOCUSIGN_ENVIRONMENT),
        "account": membership.account if membership else None,
        "membership": membership,
        "memberships": getattr(request, "memberships", []),
        "theme": theme if theme in User.Theme.values else User.Theme.SYSTEM,
        # Callables, so that a fragment that shows none of it does not pay for it.
        "navigation": lambda: _navigation(request.path, membership) if membership else (),
        "banners": lambda: banners.banners_for(membership) if membership else [],
        "budget": lambda: banners.budget_of(membership.account) if membership else None,
        "request_id": getattr(request, "request_id", ""),
    }


def _navigation(path: str, membership: Membership) -> tuple[navigation.Entry, ...]:
    counts = rail.counts_of(membership)
    return tuple(navigation.entries(path, needs=counts.needs, running=counts.running, approvals=counts.approvals))
