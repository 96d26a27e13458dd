"""What `docs/deploy.md` promises, replayed: from its first block to a green /readyz behind TLS, a sign-in, a backup and an upgrade."""

import re
import shutil
import ssl
import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from maestro_api.simulator import DEMO_CLIENT_ID, DEMO_CLIENT_SECRET, Simulator, SimulatorServer
from tests.deployment.machine import BLOCK, DOCUMENT, Machine, steps
from tests.deployment.programs import needs
from tests.processes import ROOT, csrf_token, free_port, submit_person, wait_until

pytestmark = [pytest.mark.processes, pytest.mark.timeout(240)]


@pytest.fixture(scope="module")
def simulator_url() -> Iterator[str]:
    server = SimulatorServer(Simulator(seed=1, workflows=2, instances=4, latency_ms=0), port=0)
    server.start()
    yield server.url
    server.stop()


@pytest.fixture(scope="module")
def machine(simulator_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """A machine on which every step but the upgrade has been done."""
    needs("nginx", "openssl", "curl", "git")
    there = Machine(tmp_path_factory.mktemp("machine"), simulator_url, DEMO_CLIENT_ID, DEMO_CLIENT_SECRET)
    try:
        there.run(without_the_first_block(steps()))
        yield there
    finally:
        there.power_off()


def without_the_first_block(script: str) -> str:
    """The first one says what is the reader's own, which the machine does instead."""
    return script.removeprefix(BLOCK.findall(DOCUMENT.read_text())[0][1])


def session(machine: Machine) -> requests.Session:
    browser = requests.Session()
    browser.trust_env = False
    browser.verify = str(machine.certificate)
    return browser


def sign_in(machine: Machine, setup_code: str) -> tuple[requests.Session, requests.Response]:
    browser = session(machine)
    page = browser.get(f"{machine.url}/signin/", timeout=30)
    answer = browser.post(
        f"{machine.url}/signin/start/",
        data={"csrfmiddlewaretoken": csrf_token(page.text), "setup_code": setup_code},
        headers={"Referer": f"{machine.url}/signin/"},
        timeout=30,
    )
    return browser, submit_person(browser, answer, "Ada Admin")


@pytest.fixture(scope="module")
def first_person(machine: Machine) -> tuple[requests.Session, requests.Response]:
    """Who came in first; every test that uses up the sign-ins of this address asks for this before."""
    codes = re.findall(r"^Setup code: (\S+) ", (machine.root / "steps.log").read_text(), re.M)
    assert len(codes) == 1
    return sign_in(machine, codes[0])


def test_the_steps_lead_to_a_console_that_is_ready_behind_tls(machine: Machine) -> None:
    """R-12: database, migrations and worker are well, seen through the proxy."""
    context = ssl.create_default_context(cafile=str(machine.certificate))
    with urllib.request.urlopen(f"{machine.url}/readyz", context=context, timeout=10) as answer:
        text = answer.read().decode()
    assert '"status": "ready"' in text
    assert machine.journal().count("Settings:") == 0


def test_the_proxy_sends_plain_requests_to_tls_and_hides_the_figures(machine: Machine) -> None:
    plain = session(machine).get(f"http://localhost:{machine.plain_port}/instances/?name=x", allow_redirects=False)
    assert (plain.status_code, plain.headers["Location"]) == (301, "https://localhost/instances/?name=x")
    assert session(machine).get(f"{machine.url}/metrics", timeout=10).status_code == 404


def test_the_first_person_comes_in_with_the_setup_code_and_bound_cookies(
    machine: Machine, first_person: tuple[requests.Session, requests.Response]
) -> None:
    """S-7: through TLS, with the secrets and the database that the steps made."""
    browser, answer = first_person
    assert answer.url.startswith(machine.url)
    assert answer.status_code == 200
    assert "__Host-session" in browser.cookies
    static = re.search(r'href="(/static/[^"]+\.css)"', answer.text)
    assert static
    sheet = browser.get(machine.url + static.group(1), timeout=10)
    assert "max-age=315360000" in sheet.headers["Cache-Control"]


@pytest.mark.usefixtures("first_person")
def test_a_forged_address_does_not_pass_the_proxy(machine: Machine) -> None:
    """S-16: the proxy writes the header anew, the console believes the proxy alone."""
    statuses = []
    for number in range(24):  # ten of a minute pass, which may end in between
        browser = session(machine)
        page = browser.get(f"{machine.url}/signin/", timeout=10)
        answer = browser.post(
            f"{machine.url}/signin/start/",
            data={"csrfmiddlewaretoken": csrf_token(page.text)},
            headers={"Referer": f"{machine.url}/signin/", "X-Forwarded-For": f"203.0.113.{number}"},
            allow_redirects=False,
            timeout=10,
        )
        statuses.append(answer.status_code)
        if answer.status_code == 429:
            break
    assert set(statuses) == {302, 429}


def test_the_backup_unit_made_a_backup(machine: Machine) -> None:
    """D-5: with a key that only this unit has."""
    assert backups(machine)
    assert "BACKUP_KEYS=" not in (machine.root / "etc/maestro-console/console.env").read_text()


def backups(machine: Machine) -> list[Path]:
    return [each for each in (machine.root / "var/backups/maestro-console").iterdir() if each.is_file()]


def test_secrets_lie_in_files_for_root_alone(machine: Machine) -> None:
    for name in ("console.env", "backup.env", "tls.key"):
        assert (machine.root / "etc/maestro-console" / name).stat().st_mode & 0o077 == 0, name


def test_an_upgrade_follows_its_steps_and_ends_ready(machine: Machine) -> None:
    before, made = machine.pids(), backups(machine)
    machine.run(steps("upgrade"))
    after = machine.pids()
    assert len(backups(machine)) == len(made) + 1
    assert before["maestro-console.service"] == after["maestro-console.service"]  # reloaded, never stopped
    assert before["maestro-console-worker.service"] != after["maestro-console-worker.service"]


def test_caddy_serves_the_same_console(machine: Machine, tmp_path: Path) -> None:
    needs("caddy")
    port = free_port()
    text = (ROOT / "deploy/Caddyfile").read_text().replace("127.0.0.1:8000", f"127.0.0.1:{machine.web_port}")
    # No certificate can be fetched here, so it takes the one that was made for nginx.
    folder = machine.certificate.parent
    own = f"localhost:{port} {{\n\ttls {folder / 'tls.crt'} {folder / 'tls.key'}\n"
    text = text.replace("console.example.com {\n", own)
    file = tmp_path / "Caddyfile"
    file.write_text(text.replace("\n{\n", "\n{\n\tadmin off\n\tauto_https off\n", 1))
    variables = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path)}
    command = [str(shutil.which("caddy")), "run", "--adapter", "caddyfile", "--config", str(file)]
    with subprocess.Popen(command, env=variables, stderr=subprocess.DEVNULL) as caddy:
        try:
            ready = wait_until("caddy answers", lambda: reached(machine, f"https://localhost:{port}/readyz"))
            assert ready.json()["status"] == "ready"
            assert session(machine).get(f"https://localhost:{port}/metrics", timeout=10).status_code == 404
        finally:
            caddy.terminate()


def reached(machine: Machine, url: str) -> requests.Response | None:
    try:
        return session(machine).get(url, timeout=5)
    except requests.ConnectionError:
        return None
