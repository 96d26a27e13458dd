"""What the instances page weighs on the wire, compressed."""

import re
from collections.abc import Iterator
from urllib.parse import urljoin

import requests

from tests.benchmarks.figures import Figure
from tests.processes import RunningConsole, wait_until


def figures() -> Iterator[Figure]:
    with RunningConsole("--instances=2000") as console:
        session = console.sign_in()
        session.get(f"{console.url}/instances/", timeout=30)
        wait_until(
            "the mirror is full",
            lambda: console.query("SELECT COUNT(*) FROM dashboard_instance")[0][0] >= 2000,
            seconds=120,
            every=1,
        )
        url = f"{console.url}/instances/?size=50"
        page = on_the_wire(session, url)
        text = session.get(url, timeout=30).text
        parts = {urljoin(url, link) for link in re.findall(r'(?:src|href)="(/static/[^"]+)"', text)}
        assert len(parts) >= 3, parts
        total = page + sum(on_the_wire(session, part) for part in parts)
        yield Figure("first_load_instances", total / 1000, "kB", "<= 100")
        fragment = on_the_wire(session, url, {"HX-Request": "true"})
        rows = session.get(url, headers={"HX-Request": "true"}, timeout=30).text.count("<tr")
        assert rows > 50, rows
        yield Figure("reload_of_50_rows", fragment / 1000, "kB", "<= 15")


def on_the_wire(session: requests.Session, url: str, headers: dict[str, str] | None = None) -> int:
    """Bytes of the body as sent, in the best compression that a browser on plain http asks for."""
    wanted = {"Accept-Encoding": "gzip, deflate"} | (headers or {})
    answer = session.get(url, headers=wanted, stream=True, timeout=30)
    assert answer.status_code == 200, answer.status_code
    return len(answer.raw.read(decode_content=False))
