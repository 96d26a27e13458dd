"""S-6 as a whole: a session ends in mid-form, the person signs in again, and finds what was typed."""

from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.test import Client
from django.utils.html import escape

from dashboard.models import Membership, Operation
from maestro_api.simulator import SimRequest, Simulator
from tests.factories import ContractFactory, WorkflowFactory, lists

pytestmark = pytest.mark.django_db
TYPED = "NDA for “Zoë” & Söhne <b>"


@pytest.mark.parametrize("is_htmx", [False, True])
def test_what_was_typed_into_a_trigger_form_is_back_after_signing_in_again(
    connect: Callable[..., Membership],
    signed_in: Callable[..., Client],
    simulator: Simulator,
    settings: Any,
    is_htmx: bool,
) -> None:
    """S-6: full-page redirect to sign-in, then the same form with the same words, and nothing was sent."""
    member = connect("Olu Operator", rights="manage")
    settings.CONSOLE_ACCOUNTS = [str(member.account_id)]
    workflow = WorkflowFactory(account=member.account)
    ContractFactory(workflow=workflow)
    lists(member, workflow)
    client = signed_in(member, enforce_csrf_checks=True)
    url = f"/workflows/{workflow.pk}/trigger/"
    page = client.get(url)
    fields = {name: page.context["form"][name].value() for name in ("key", "contract")}
    token = str(page.context["csrf_token"])
    client.session.flush()
    headers = {"HX-Request": "true", "HX-Current-URL": f"http://testserver{url}"} if is_htmx else {}
    data = fields | {
        "csrfmiddlewaretoken": token,
        "instance_name": TYPED,
        "draft_owner": page.context["draft_owner"],
    }
    refused = client.post(url, data, headers=headers)
    door = refused.headers["HX-Redirect"] if is_htmx else refused.headers["Location"]
    assert door == f"/signin/?next=%2Fworkflows%2F{workflow.pk}%2Ftrigger%2F"

    door_page = client.get(door)
    start = client.post(
        "/signin/start/",
        {"next": door_page.context["next"], "csrfmiddlewaretoken": str(door_page.context["csrf_token"])},
    )
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    query = urlsplit(start.headers["Location"]).query
    back = simulator.handle(SimRequest("POST", f"/oauth/auth?{query}", form, f"person={member.user.sub}".encode()))
    answer = client.get("/oauth/callback/?" + urlsplit(back.headers["Location"]).query)
    assert answer.headers["Location"] == url
    again = client.get(url)
    assert escape(TYPED) in again.content.decode()
    assert "It was not sent." in again.content.decode()
    assert not Operation.objects.exists()
