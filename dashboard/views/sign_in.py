"""Sign-in and sign-out. The one rule: it starts by POST only, and a new session begins when it succeeds."""

from django.conf import settings
from django.contrib.auth import login, logout
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from dashboard.forms.sign_in import SignInForm
from dashboard.models import User
from dashboard.permissions import public
from dashboard.services import accounts, browser_sessions, sign_in, sign_in_gate
from dashboard.services.errors import DocusignUnavailable, SignInRefused
from dashboard.session_ends import set_times

BACKEND = "dashboard.authentication.DocusignBackend"


@public
@require_http_methods(["GET", "HEAD"])
def page(request: HttpRequest) -> HttpResponse:
    if request.user.is_authenticated and "next" not in request.GET:
        return redirect("overview")
    return _page(request, sign_in_gate.local_path(request.GET.get("next")))


@public
@require_POST
def start(request: HttpRequest) -> HttpResponse:
    form = SignInForm(request.POST)
    next_path = sign_in_gate.local_path(request.POST.get("next"))
    if not form.is_valid():
        return _page(request, next_path, problem="The form was not understood. Nothing was sent.", status=422)
    asked = form.cleaned_data
    try:
        state, pending, url = sign_in.start_sign_in(
            next_path=next_path, prompt=asked["prompt"], setup_code=asked["setup_code"]
        )
    except SignInRefused as refusal:
        return _page(request, next_path, problem=refusal.message, status=422)
    request.session["sign_in"] = sign_in.remember(request.session.get("sign_in", {}), state, pending)
    return HttpResponseRedirect(url)


@public
@require_GET
def callback(request: HttpRequest) -> HttpResponse:
    state = request.GET.get("state", "")
    pendings = sign_in.attempts_of(request.session, is_signed_in=request.user.is_authenticated)
    try:
        pending = sign_in.take(pendings, state)
        request.session["sign_in"] = pendings
        signed_in = sign_in.finish_sign_in(pending, state=state, params=request.GET.dict())
    except sign_in.StateRefused as refusal:
        return _page(request, "/", problem=refusal.message, status=400)
    except sign_in.Stranger as refusal:
        logout(request)
        return _page(request, "/", problem=refusal.message, status=403)
    except SignInRefused as refusal:
        return _page(request, "/", problem=refusal.message, status=403)
    except DocusignUnavailable as failure:
        return _page(request, pending["next"], problem=failure.message, status=502)
    before = request.session.session_key
    login(request, signed_in.user, backend=BACKEND)
    _begin_session(request, signed_in.user, instead_of=before)
    request.session.pop("sign_in", None)
    request.session["account"] = str(signed_in.membership.account_id)
    sign_in_gate.drop_foreign_draft(request.session, signed_in.user)
    return HttpResponseRedirect(sign_in_gate.local_path(pending["next"]))


@public
@require_POST
def sign_out(request: HttpRequest) -> HttpResponse:
    if request.user.is_authenticated:
        sign_in.record_sign_out(request.user, getattr(request, "account", None))
    browser_sessions.forget(request.session.session_key)
    logout(request)
    response = redirect("signin")
    # Nothing of the signed-in pages may come back from this browser's store (S-9).
    response.headers["Clear-Site-Data"] = '"cache", "storage"'
    return response


def _begin_session(request: HttpRequest, user: User, *, instead_of: str | None) -> None:
    if not request.session.session_key:  # another person was signed in here, and that session was emptied
        request.session.create()
    key = request.session.session_key or ""
    agent = request.headers.get("User-Agent", "")
    set_times(request.session, browser_sessions.begin(user, key, instead_of=instead_of, agent=agent))


def _page(request: HttpRequest, next_path: str, *, problem: str = "", status: int = 200) -> HttpResponse:
    context = {
        "form": SignInForm(initial={"next": next_path}),
        "next": next_path,
        "problem": problem,
        "is_unclaimed": accounts.is_unclaimed(),
        "scopes": settings.DOCUSIGN_SCOPES,
    }
    return render(request, "signin/index.html", context, status=status)
