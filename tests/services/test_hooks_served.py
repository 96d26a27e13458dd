"""The receiver as it runs: gunicorn with threads over a database file, and senders that are slow, large, many or too early."""

import json
import select
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import requests

from maestro_api.simulator import MAIN_ACCOUNT_ID
from tests.connect_events import KEY, body_of, event, headers_for
from tests.processes import free_port, wait_until
from tests.services.file_console import ROOT, FileConsole

pytestmark = [pytest.mark.processes, pytest.mark.timeout(300)]
TOKEN = "served-tok-3nHn1Zq0f8m2"
NEW_KEY = "the new key of thirty-two characters"
PREPARE = """
from tests.factories import AccountFactory
from tests.connect_events import hook_for
hook_for(AccountFactory(id=sys.argv[1]), token=sys.argv[2])
"""
ROLL = """
import time
from tests.connect_events import add_key
add_key(Hook.objects.get(), sys.argv[1], "new")
time.sleep(0.5)
HookKey.objects.filter(label="key 1").delete()
time.sleep(0.5)
"""

BACK = """
from tests.connect_events import add_key
add_key(Hook.objects.get(), sys.argv[1], "key 1")
"""


class Served:
    """A gunicorn of its own, as the demo starts it."""

    def __init__(self, folder: Path) -> None:
        self.console = FileConsole(folder)
        self.database = folder / "console.sqlite3"
        self.console.run(PREPARE, MAIN_ACCOUNT_ID, TOKEN)
        self.port = free_port()
        bind = ["--bind", f"127.0.0.1:{self.port}", "--worker-class", "gthread", "--workers", "1", "--threads", "4"]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "gunicorn", "dashboard.wsgi", *bind, "--keep-alive", "65", "--log-level", "error"],
            cwd=ROOT,
            env=self.console.environment,
        )
        try:
            wait_until("the console answers", self._is_up, seconds=60)
        except BaseException:
            self.stop()
            raise

    def _is_up(self) -> bool:
        try:
            return requests.get(f"http://127.0.0.1:{self.port}/livez", timeout=5).status_code == 200
        except requests.RequestException:  # not yet
            return False

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(20)

    def send(self, message: dict[str, Any], *secrets: str) -> int:
        body = body_of(message)
        headers = headers_for(body, *secrets) | {"Content-Type": "application/json"}
        url = f"http://127.0.0.1:{self.port}/hooks/docusign/{TOKEN}/"
        return requests.post(url, body, headers=headers, timeout=30, allow_redirects=False).status_code

    def deliveries(self) -> int:
        with sqlite3.connect(f"file:{self.database}?mode=ro", uri=True, timeout=20) as database:
            return int(database.execute("select count(*) from dashboard_delivery").fetchone()[0])

    def memory_mb(self) -> float:
        """Of the process that serves: the youngest child."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        words = Path(f"/proc/{children[-1]}/statm").read_text().split()
        return int(words[1]) * 4096 / 1e6

    def connection(self, *headers: str) -> socket.socket:
        raw = socket.create_connection(("127.0.0.1", self.port), timeout=30)
        lines = [f"POST /hooks/docusign/{TOKEN}/ HTTP/1.1", "Host: 127.0.0.1", "X-DocuSign-Signature-1: x", *headers]
        raw.sendall("\r\n".join([*lines, "", ""]).encode())
        return raw


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    console = Served(tmp_path_factory.mktemp("hooks"))
    yield console
    console.stop()


def repeated(send: Callable[[], int]) -> int:
    """What the receiver answers in the end: a 503 of a busy disk means to come again, which Docusign does."""
    until = time.monotonic() + 60
    while (status := send()) == 503 and time.monotonic() < until:
        time.sleep(0.1)
    return status


def status_of(raw: socket.socket) -> int:
    with raw:
        return int(raw.recv(4096).split(b" ")[1])


def test_the_same_event_in_parallel_has_one_effect(served: Served) -> None:
    """W-5: 100 at once, then again with a growing retryCount."""
    message, before = event(MAIN_ACCOUNT_ID), served.deliveries()
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda _: repeated(lambda: served.send(message)), range(100)))
    answers += [repeated(lambda n=n: served.send(message | {"retryCount": n})) for n in range(1, 10)]
    assert set(answers) == {204}
    assert served.deliveries() == before + 1


def test_keys_are_rolled_under_load_without_a_refusal(served: Served) -> None:
    """W-3: Docusign signs with both while they are rolled; another process changes the keys meanwhile."""
    answers: list[int] = []
    stop = threading.Event()

    def sender() -> None:
        while not stop.is_set():
            message = event(MAIN_ACCOUNT_ID)
            answers.append(repeated(lambda message=message: served.send(message, KEY, NEW_KEY)))
            time.sleep(0.02)

    threads = [threading.Thread(target=sender) for _ in range(2)]
    for thread in threads:
        thread.start()
    served.console.run(ROLL, NEW_KEY)
    stop.set()
    for thread in threads:
        thread.join()
    assert len(answers) > 20
    assert set(answers) == {204}
    assert served.send(event(MAIN_ACCOUNT_ID), KEY) == 401
    served.console.run(BACK, KEY)  # the other tests sign with it, before this one or after it


def readable(sockets: list[socket.socket]) -> list[tuple[int, int]]:
    """Those on which something has come, the end included; `select` itself takes no descriptor beyond 1023."""
    poll = select.poll()
    for each in sockets:
        poll.register(each, select.POLLIN)
    return poll.poll(0)


def test_a_body_that_comes_byte_by_byte_is_cut_off_and_holds_up_nobody(served: Served) -> None:
    """W-6: three of four threads are held, the fourth serves; after the deadline all are free again."""
    slow = [served.connection("Content-Length: 500") for _ in range(3)]
    stop = threading.Event()

    def drip() -> None:
        while not stop.wait(1):
            for raw in slow:
                with suppress(OSError):  # it was cut off
                    raw.sendall(b"x")

    dripping = threading.Thread(target=drip)
    dripping.start()
    answer = requests.get(f"http://127.0.0.1:{served.port}/livez", timeout=20)
    ended = readable(slow)
    statuses = [status_of(raw) for raw in slow]
    stop.set()
    dripping.join()
    assert answer.status_code == 200
    assert ended == [], "somebody else was answered while all three were still being read"
    assert statuses == [408, 408, 408]


def test_a_body_that_never_comes_is_cut_off(served: Served) -> None:
    """W-6."""
    assert status_of(served.connection("Content-Length: 500")) == 408


def test_a_body_that_breaks_off_is_no_error_of_ours(served: Served) -> None:
    raw = served.connection("Content-Length: 500")
    raw.sendall(b"half")
    raw.shutdown(socket.SHUT_WR)
    assert status_of(raw) == 400


def test_a_large_body_is_refused_without_being_read(served: Served) -> None:
    """W-6: the announced size alone is enough."""
    for size in (2 * 1024 * 1024, 50 * 1024 * 1024):
        assert status_of(served.connection(f"Content-Length: {size}")) == 413


def test_chunks_without_end_are_refused_at_the_cap(served: Served) -> None:
    """W-6: 50 MB in chunks; no more than the cap is kept."""
    before, chunk = served.memory_mb(), b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
    sent = 0
    with served.connection("Transfer-Encoding: chunked") as raw, suppress(OSError):  # it closes the connection
        for _ in range(800):
            raw.sendall(chunk)
            sent += len(chunk)
    assert sent < 800 * len(chunk)
    assert served.memory_mb() - before < 20
    assert requests.get(f"http://127.0.0.1:{served.port}/livez", timeout=20).status_code == 200


def test_an_event_in_chunks_is_taken(served: Served) -> None:
    """W-6: some senders announce no length."""
    body, before = body_of(event(MAIN_ACCOUNT_ID)), served.deliveries()
    url = f"http://127.0.0.1:{served.port}/hooks/docusign/{TOKEN}/"

    def send_in_chunks() -> int:
        return requests.post(
            url, iter([body[:100], body[100:]]), headers=headers_for(body, KEY), timeout=30
        ).status_code

    assert repeated(send_in_chunks) == 204
    assert served.deliveries() == before + 1


def test_while_the_database_is_locked_the_answer_is_503_and_a_redelivery_lands_once(served: Served) -> None:
    """W-4, D-3: soon enough for a sender that waits five seconds."""
    message, before = event(MAIN_ACCOUNT_ID), served.deliveries()
    lock = sqlite3.connect(served.database, isolation_level=None)
    lock.execute("BEGIN IMMEDIATE")
    refused = served.send(message, KEY)
    lock.execute("ROLLBACK")
    lock.close()
    assert refused == 503
    again = [repeated(lambda n=n: served.send(message | {"retryCount": n}, KEY)) for n in (1, 2, 3)]
    assert again == [204, 204, 204]
    assert served.deliveries() == before + 1


def test_no_answer_of_the_server_sets_a_cookie_or_names_the_software(served: Served) -> None:
    """W-11."""
    url = f"http://127.0.0.1:{served.port}/hooks/docusign/{TOKEN}/"
    answer = requests.get(url, timeout=10, allow_redirects=False)
    assert answer.status_code == 405
    assert "Set-Cookie" not in answer.headers
    assert json.dumps(dict(answer.headers)).lower().find("django") == -1
