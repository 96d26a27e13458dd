"""A Redis that cannot be reached: of sessions nobody is signed out for it, of counts nothing is missed."""

from typing import Any

import pytest
from django.core.cache import cache
from django.test import Client

from dashboard import startup
from dashboard.cached_sessions import SessionStore
from dashboard.services.errors import StoreBusy
from tests.processes import free_port

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _nobody_there(settings: Any) -> None:
    settings.CACHES = startup.caches(f"redis://127.0.0.1:{free_port()}/0")
    settings.SESSION_ENGINE = "dashboard.cached_sessions"


@pytest.mark.parametrize("is_fragment", [False, True])
def test_nobody_is_signed_out_while_the_sessions_cannot_be_reached(is_fragment: bool) -> None:
    """A moment without it is 503; the cookie stays, and is good again afterwards."""
    client = Client(headers={"HX-Request": "true"} if is_fragment else None, raise_request_exception=False)
    client.cookies["session"] = "x" * 32
    answer = client.get("/instances/")
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    assert "session" not in answer.cookies


def test_whatever_is_done_with_a_session_says_that_it_cannot_be_done() -> None:
    store = SessionStore("x" * 32)
    for deed in (store.load, store.save, store.create, store.delete, lambda: store.exists("x" * 32)):
        with pytest.raises(StoreBusy, match="cannot reach its sessions"):
            deed()


def test_a_cache_that_is_away_is_an_empty_one() -> None:
    cache.set("count", 3)
    assert (cache.get("count"), cache.add("count", 3), cache.delete("count")) == (None, False, False)
