"""Many machines by settings: two web masters behind nginx, three Celery workers, PostgreSQL and Redis."""

import re
from collections.abc import Iterator

import pytest
import requests

from tests import postgres, redis_server
from tests.deployment.programs import needs
from tests.processes import ROOT, csrf_token, submit_person, wait_until
from tests.scale_demo import ScaleDemo, nginx_site

pytestmark = [pytest.mark.processes, pytest.mark.timeout(240)]


@pytest.fixture(scope="module")
def demo() -> Iterator[ScaleDemo]:
    needs("nginx")
    if postgres.programs() is None:
        needs("initdb")
    redis_server.program()
    with ScaleDemo("--instances=20") as running:
        yield running


def sign_in(demo: ScaleDemo) -> requests.Session:
    browser = requests.Session()
    browser.trust_env = False
    page = browser.get(f"{demo.url}/signin/", timeout=30)
    data = {"csrfmiddlewaretoken": csrf_token(page.text)}
    asked = browser.post(f"{demo.url}/signin/start/", data=data, headers={"Referer": f"{demo.url}/signin/"}, timeout=30)
    answer = submit_person(browser, asked, "Ada Admin")
    assert answer.url.startswith(demo.url), demo.logs()
    return browser


def test_a_person_works_while_a_web_master_and_a_worker_are_killed_and_come_back(demo: ScaleDemo) -> None:
    """Two masters behind nginx: no page fails while one of them and a worker are gone, and the session is the same on both."""
    browser = sign_in(demo)
    demo.kill("web-1")
    demo.kill("worker-1")
    statuses = {browser.get(f"{demo.url}/workflows/", timeout=30).status_code for _ in range(10)}
    assert statuses == {200}
    demo.start("web-1")
    demo.start("worker-1")
    demo.kill("web-2")
    wait_until("the first master serves again", demo.is_ready, seconds=60)
    assert browser.get(f"{demo.url}/workflows/", timeout=30).status_code == 200
    demo.start("web-2")


def test_the_sites_of_scale_demo_are_those_of_deploy() -> None:
    site = nginx_site((ROOT / "deploy/nginx-many.conf").read_text(), 8123, [8001, 8002])
    assert re.findall(r"server 127\.0\.0\.1:(\d+)", site) == ["8001", "8002"]
    assert "ssl" not in site
    assert site.count("listen") == 1
    assert "proxy_next_upstream error timeout;" in site
    assert site.count("non_idempotent") == 1  # for events, which may come twice
