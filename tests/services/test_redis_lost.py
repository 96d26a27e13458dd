"""A Redis that holds queue, cache and sessions, killed in the middle of everything and back empty."""

import html
import re
from collections.abc import Iterator

import pytest
import requests

from tests.redis_server import RedisServer
from tests.services.file_console import until
from tests.services.served_console import ServedConsole

pytestmark = [pytest.mark.processes, pytest.mark.timeout(300)]
ROWS = 30


@pytest.fixture(scope="module")
def redis() -> Iterator[RedisServer]:
    with RedisServer() as server:
        yield server


@pytest.fixture(scope="module")
def console(redis: RedisServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedConsole]:
    places = [f"redis://{redis.place}/{number}" for number in (1, 2)]
    folder = tmp_path_factory.mktemp("redis")
    made = ServedConsole(folder, queue_url=places[0], CACHE_URL=places[1], SESSION_STORE="cache")
    yield made
    made.close()


def page(session: requests.Session, url: str) -> requests.Response:
    return session.get(f"{url}/instances/", timeout=30, allow_redirects=False)


def is_sent_to_sign_in(answer: requests.Response) -> bool:
    return answer.status_code == 302 and answer.headers["Location"].startswith("/signin/")


def test_redis_killed_and_back_empty_sends_nothing_twice_and_shows_nobody_a_strange_page(
    console: ServedConsole, redis: RedisServer
) -> None:
    """Bad days: the run ends with each row made once; sessions in Redis are gone, so people sign in again, and see their own."""
    kept = console.serve(workers=1, SESSION_STORE="database")
    ada, vic, by_database = console.sign_in(), console.sign_in("Pia Preparer"), console.sign_in(url=kept)
    assert "Ada Admin" in page(ada, console.url).text
    console.start_worker()
    console.start_run(ROWS)
    until(lambda: console.confirmed() >= 6, seconds=90)
    redis.kill()
    assert page(ada, console.url).status_code == 503
    assert ada.cookies["session"]
    assert "Ada Admin" in page(by_database, kept).text
    assert (console.status("/livez"), console.status("/readyz")) == (200, 200)
    redis.start()
    assert is_sent_to_sign_in(page(ada, console.url))
    again = console.sign_in()
    assert "Ada Admin" in page(again, console.url).text
    assert is_sent_to_sign_in(page(vic, console.url))
    assert "Ada Admin" in page(by_database, kept).text
    console.finish(seconds=90, is_hurried=True)
    assert console.made() == (ROWS, 0)
    assert console.states() == {"confirmed": ROWS}
    assert console.worker_log().count("Error reading") == 1, "the queue's absence is told in one line"


def test_a_session_in_redis_ends_with_its_sign_off_and_answers_polls_while_it_lasts(console: ServedConsole) -> None:
    """O-7, V-6: as in the database."""
    ada = console.sign_in()
    cookie = ada.cookies["session"]
    page(ada, console.url)  # the first look is noted, so that polls have nothing to note
    shown = re.search(r'data-poll="([^"]*stamp=[^"]*)"', page(ada, console.url).text)
    assert shown
    poll = console.url + html.unescape(shown[1])
    mine = ada.get(poll, headers={"HX-Request": "true"}, timeout=30)
    strange = requests.get(poll, headers={"HX-Request": "true"}, cookies={"session": "x" * 32}, timeout=30)
    assert (mine.status_code, mine.headers.get("HX-Redirect")) == (204, None)
    assert strange.headers["HX-Redirect"].startswith("/signin/")
    token = ada.cookies["csrf"]
    ada.post(
        f"{console.url}/signout/", data={"csrfmiddlewaretoken": token}, headers={"Referer": console.url}, timeout=30
    )
    old = requests.Session()
    old.cookies.set("session", cookie)
    assert is_sent_to_sign_in(page(old, console.url))


def test_values_that_somebody_else_wrote_into_redis_are_not_taken(console: ServedConsole, redis: RedisServer) -> None:
    """A cache must not run code, nor make up a count."""
    code = """
from django.core.cache import cache
cache.set("mine", {"count": 3}, 60)
client = cache._cache.get_client("k", write=True)
client.set(cache.make_key("strange"), __import__("pickle").dumps(17))
client.set(cache.make_key("number"), 17)
print(cache.get("mine"), cache.get("strange"), cache.get("number"), cache.get("gone"))
"""
    assert console.run(code) == "{'count': 3} None None None"
