"""The setup page of Docusign Connect. Its one rule: everybody may see whether events come; the address is shown to admins only."""

from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST

from dashboard import htmx, permissions
from dashboard.forms.connect import KeyForm
from dashboard.forms.strict import DeedForm
from dashboard.models import Delivery, Hook, HookKey
from dashboard.permissions import requires
from dashboard.person import PersonRequest
from dashboard.services import deliveries, hook_setup
from dashboard.services.errors import Refused

NO_HOOK = "This account has no address for events yet."
RENEW_EFFECTS = [
    {
        "icon": "disconnect",
        "text": "The old address answers nobody any more. Events that Docusign sends there are lost.",
    },
    {"icon": "edit", "text": "Put the new address into the configuration at Docusign at once."},
    {"icon": "running", "text": "Nothing else changes: keys stay, and what came before is kept."},
]
REMOVE_EFFECTS = [
    {"icon": "refused", "text": "Events that only this key has signed are refused from now on."},
    {"icon": "info", "text": "Add the new key first, and remove the old one when the new one has been used."},
]
ADD_EFFECTS = [
    {
        "icon": "info",
        "text": "Docusign signs each event with every active key. One that fits is enough, so keys can be rolled.",
    }
]


@require_http_methods(["GET", "HEAD"])
@requires("connect.view")
def index(request: PersonRequest) -> HttpResponse:
    hook = hook_setup.hook_of(request.account)
    why_not = permissions.reason(request.membership, "connect.change")
    context: dict[str, Any] = {
        "hook": hook,
        "why_not": why_not,
        "address": hook_setup.address_of(hook) if hook and not why_not else "",
        "keys": hook_setup.key_facts(hook) if hook else [],
        "silent_since": hook_setup.silent_since(hook) if hook else None,
        "counts": deliveries.counts(request.account),
        "deliveries": deliveries.latest(request.account),
    }
    return htmx.render(request, "connect/index.html", "connect/_connect.html", context)


@requires("connect.change")
@require_POST
def create(request: PersonRequest) -> HttpResponse:
    hook_setup.create_hook(request.account, actor=request.user)
    messages.success(request, "This account has an address for events now. Add a key, then set Docusign up.")
    return htmx.done(request, reverse("connect"), "connectChanged")


@requires("connect.change")
@require_http_methods(["GET", "HEAD", "POST"])
def renew(request: PersonRequest) -> HttpResponse:
    hook = get_object_or_404(Hook, account=request.account)
    form = DeedForm(request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        hook_setup.renew_token(hook, actor=request.user)
        return _done(request, "The address is new. Put it into the configuration at Docusign.")
    return _ask(request, form, "Renew the address?", reverse("connect-renew"), "Renew the address", RENEW_EFFECTS)


@requires("connect.change")
@require_http_methods(["GET", "HEAD", "POST"])
def add_key(request: PersonRequest) -> HttpResponse:
    hook = get_object_or_404(Hook, account=request.account)
    form = KeyForm(request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        try:
            hook_setup.add_key(
                hook, actor=request.user, label=form.cleaned_data["label"], secret=form.cleaned_data["key"]
            )
        except Refused as refusal:
            form.add_error(refusal.field, refusal.message)
        else:
            return _done(request, "The key counts from now on.")
    url = reverse("connect-key-add")
    return _ask(request, form, "Add a key", url, "Add the key", ADD_EFFECTS, tone="primary", keep="Add none")


@requires("connect.change")
@require_http_methods(["GET", "HEAD", "POST"])
def remove_key(request: PersonRequest, key_id: int) -> HttpResponse:
    key = get_object_or_404(HookKey.objects.select_related("hook__account"), pk=key_id, hook_id=request.account.pk)
    form = DeedForm(request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        hook_setup.remove_key(key, actor=request.user)
        return _done(request, f"The key {key.label} counts no more.")
    url = reverse("connect-key-remove", args=[key.pk])
    return _ask(request, form, f"Remove the key {key.label}?", url, "Remove the key", REMOVE_EFFECTS)


@requires("connect.change")
@require_POST
def replay(request: PersonRequest, delivery_id: int) -> HttpResponse:
    delivery = get_object_or_404(Delivery.objects.select_related("account"), pk=delivery_id, account=request.account)
    try:
        deliveries.replay(delivery, actor=request.user)
    except Refused as refusal:
        messages.error(request, refusal.message)
    else:
        messages.success(request, "The event is read again within seconds.")
    return htmx.done(request, reverse("connect"), "connectChanged")


def _done(request: PersonRequest, text: str) -> HttpResponse:
    messages.success(request, text)
    return htmx.done(request, reverse("connect"), "connectChanged", "closeDialog")


def _ask(  # one question a deed; each has its own words
    request: PersonRequest,
    form: DeedForm | KeyForm,
    title: str,
    url: str,
    verb: str,
    effects: list[dict[str, str]],
    *,
    tone: str = "danger",
    keep: str = "Keep it as it is",
) -> HttpResponse:
    context = {
        "title": title,
        "action_url": url,
        "verb": verb,
        "tone": tone,
        "keep_label": keep,
        "keep_url": reverse("connect"),
        "effects": effects,
        "form": form,
    }
    return htmx.render(
        request, "connect/question.html", "components/_dialog.html", context, status=422 if form.errors else 200
    )
