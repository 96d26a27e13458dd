"""O-11: the key is replaced while people read and tokens are used and renewed; nothing fails, and the old key may go."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from dashboard.crypto import decode_key, key_id
from maestro_api.simulator import Simulator, SimulatorServer
from tests.services.bulk_console import KEYS
from tests.services.file_console import PRELUDE, ROOT, FileConsole

pytestmark = [pytest.mark.processes, pytest.mark.timeout(300)]
OLD = KEYS["TOKEN_KEYS"]
NEW = "YSBuZXdlciBrZXkgb2YgdGhpcnR5LXR3byBieXRlcyE="
LINKS = 200
SEAL = f"""
from dashboard import crypto
from dashboard.services.triggers import url_place
from tests.factories import InstanceFactory
account, workflow = Account.objects.get(), Workflow.objects.get(name="Supplier NDA")
for row in [InstanceFactory(account=account, workflow=workflow) for _ in range({LINKS})]:
    Instance.objects.filter(pk=row.pk).update(sealed_url=crypto.seal(f"link of {{row.pk}}", *url_place(row.pk)))
"""
# A disk that stands still for some seconds is no failure of the rotation; in force where a connection is opened afterwards.
PATIENT = """
from dashboard.services import tokens
tokens.WAIT_SECONDS = 60
options = connection.settings_dict["OPTIONS"]
if connection.vendor == "sqlite":
    options["timeout"] = 60
else:
    options["options"] += " -c lock_timeout=60s -c statement_timeout=60s"
"""
# Pages, links and tokens, ten times a second each; every second the token is said to be over and must be renewed.
LOAD = """
import itertools
from datetime import timedelta
from django.test import Client
from django.utils import timezone
from dashboard import crypto
from dashboard.services.triggers import url_place
membership = PEOPLE.get()
client = Client(headers={"host": "127.0.0.1"})
client.force_login(membership.user, backend="dashboard.authentication.DocusignBackend")
keys = list(Instance.objects.exclude(sealed_url="").values_list("pk", flat=True))
ended, done, failures = threading.Event(), [], []
def page(turn):
    assert client.get("/instances/").status_code == 200
def link(turn):
    row = Instance.objects.get(pk=keys[turn % len(keys)])
    assert crypto.unseal(row.sealed_url, *url_place(row.pk)) == f"link of {row.pk}"
def token(turn):
    if turn % 10 == 5:
        Connection.objects.update(access_expires_at=timezone.now() - timedelta(seconds=1))
    assert tokens.access_token(Connection.objects.select_related("user").get())
def go_on(deed):
    for turn in itertools.count():
        try:
            deed(turn)
            done.append(deed.__name__)
        except Exception as error:
            failures.append(f"{deed.__name__}: {error!r}")
        if ended.wait(0.1):
            break
    connection.close()
threads = [threading.Thread(target=go_on, args=(deed,)) for deed in (page, link, token)]
[thread.start() for thread in threads]
while len(set(done)) < 3 and not failures:
    ended.wait(0.05)
print("under way", flush=True)
sys.stdin.readline()
ended.wait(2)
ended.set()
[thread.join() for thread in threads]
print(json.dumps({"failures": failures, "versions": Connection.objects.get().version}), flush=True)
"""
OPEN_ALL = """
from dashboard.services import rotation
from dashboard import crypto
opened = 0
for model, column, place in rotation.SEALED:
    for row in model.objects.exclude(**{column: ""}):
        crypto.unseal(getattr(row, column), *place(row))
        opened += 1
print(opened)
"""


@pytest.fixture
def console(tmp_path: Path) -> Iterator[FileConsole]:
    server = SimulatorServer(Simulator(seed=1, workflows=12, instances=10, latency_ms=0), port=0)
    server.start()
    made = FileConsole(tmp_path, server)
    made.environment |= {"TOKEN_KEYS": OLD}
    made.prepare()
    made.run(SEAL)
    yield made
    server.stop()


def test_keys_are_rotated_under_load_without_a_failure(console: FileConsole) -> None:
    """O-11: 0 failed reads while tokens are renewed, counts before and after, then the old key is removed and all opens."""
    console.environment |= {"TOKEN_KEYS": f"{NEW},{OLD}"}
    load = subprocess.Popen(
        [sys.executable, "-c", PRELUDE + PATIENT + LOAD],
        cwd=ROOT,
        env=console.environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert load.stdout is not None
        assert load.stdout.readline() == "under way\n"
        said = console.run(PATIENT + 'call_command("rotate_key")')
        result, _ = load.communicate("enough\n", timeout=120)
    finally:
        load.kill()
    assert '"failures": []' in result
    assert int(result.partition('"versions": ')[2].strip(" }\n")) > 1
    before, after = said.splitlines()
    assert max(map(int, re.findall(r"key \w+: (\d+)", before))) >= LINKS
    assert re.findall(r"key (\w+): (\d+)", after) == [(key_id(decode_key(NEW)), str(LINKS + 2))]
    console.environment |= {"TOKEN_KEYS": NEW}
    assert console.run(OPEN_ALL) == str(LINKS + 2)
