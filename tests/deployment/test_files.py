"""The files in `deploy/`: taken by the real programs, hardened, and complete."""

import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import requests

from tests.deployment.machine import listening
from tests.deployment.programs import needs
from tests.deployment.systemctl import read_environment, read_unit
from tests.processes import ROOT, free_port, wait_until
from tests.test_docs import variables_of_the_page, variables_of_the_settings

DEPLOY = ROOT / "deploy"
UNITS = sorted((DEPLOY / "systemd").iterdir())
SERVICES = [each for each in UNITS if each.suffix == ".service"]
WORST_EXPOSURE = 20  # tenths, as systemd takes it: below 2.0 it says OK, above 5 it says exposed
# A setting of the environment file: one that is set, or one that says what holds without it.
SETTING = re.compile(r"^#?([A-Z][A-Z0-9_]+)=(.*)$", re.M)


def settings_of(name: str) -> dict[str, str]:
    return {found[1]: found[2] for found in SETTING.finditer((DEPLOY / name).read_text())}


def verified(folder: Path, units: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """What systemd says of the units, with their programs where they are here."""
    for name, text in units.items():
        installed = text.replace("/opt/maestro-console/.venv/bin/python", "/bin/true")
        installed = installed.replace("/opt/maestro-console/.venv/bin/gunicorn", "/bin/true")
        (folder / name).write_text(installed)
    command = ["systemd-analyze", "verify", "--man=no", *[str(folder / name) for name in units]]
    return subprocess.run(command, capture_output=True, text=True)


def exposure(folder: Path, text: str) -> bool:
    """Whether systemd rates a unit as good enough."""
    file = folder / "rated.service"
    file.write_text(text)
    command = [
        "systemd-analyze",
        "security",
        "--offline=true",
        f"--threshold={WORST_EXPOSURE}",
        "--no-pager",
        str(file),
    ]
    return subprocess.run(command, capture_output=True, text=True).returncode == 0


def texts() -> dict[str, str]:
    return {each.name: each.read_text() for each in UNITS}


def test_systemd_takes_the_units_without_a_word(tmp_path: Path) -> None:
    needs("systemd-analyze")
    ended = verified(tmp_path, texts())
    assert (ended.returncode, ended.stderr.strip()) == (0, "")


def test_systemd_would_not_take_a_broken_unit(tmp_path: Path) -> None:
    """The check can turn red."""
    needs("systemd-analyze")
    broken = texts()
    broken["maestro-console.service"] = broken["maestro-console.service"].replace(
        "ProtectSystem=strict", "ProtectSytem=strict"
    )
    assert "ProtectSytem" in verified(tmp_path, broken).stderr


@pytest.mark.parametrize("unit", SERVICES, ids=lambda unit: unit.name)
def test_a_unit_is_hardened(unit: Path, tmp_path: Path) -> None:
    needs("systemd-analyze")
    assert exposure(tmp_path, unit.read_text())
    said = read_unit(unit.read_text())
    assert said["User"] == ["maestro-console"]
    assert said["ProtectSystem"] == ["strict"]
    assert said["PrivateTmp"] == said["NoNewPrivileges"] == ["yes"]


def test_a_unit_that_is_not_hardened_would_be_noticed(tmp_path: Path) -> None:
    """The check can turn red."""
    needs("systemd-analyze")
    text = SERVICES[0].read_text()
    assert not exposure(
        tmp_path, re.sub(r"^(Protect|Private|Restrict|SystemCall|Capability)\w+=.*\n", "", text, flags=re.M)
    )


def test_only_the_backup_unit_gets_the_key_of_backups() -> None:
    with_key = [each.name for each in SERVICES if "/etc/maestro-console/backup.env" in each.read_text()]
    assert with_key == ["maestro-console-backup.service"]


def test_the_end_of_a_backup_clears_nothing_that_the_others_share() -> None:
    """RemoveIPC empties /dev/shm of the unit's user, who is the user of the web process too."""
    backup = (DEPLOY / "systemd/maestro-console-backup.service").read_text()
    assert "RemoveIPC" not in read_unit(backup)


@pytest.mark.parametrize("name", ["nginx.conf", "nginx-many.conf"])
def test_nginx_takes_its_configuration(name: str, tmp_path: Path) -> None:
    needs("nginx", "openssl")
    ended = nginx(tmp_path, (DEPLOY / name).read_text())
    assert ended.returncode == 0, ended.stderr
    assert "[warn]" not in ended.stderr.replace('the "user" directive', "")


def test_nginx_would_not_take_a_broken_one(tmp_path: Path) -> None:
    """The check can turn red."""
    needs("nginx", "openssl")
    broken = (DEPLOY / "nginx.conf").read_text().replace("proxy_set_header", "proxy_set_headers", 1)
    assert nginx(tmp_path, broken).returncode != 0


def nginx(folder: Path, site: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*nginx_command(folder, site), "-t"], capture_output=True, text=True)


def nginx_command(folder: Path, site: str, *, plain_port: int = 0, tls_port: int = 0) -> list[str]:
    """The program with the site in a frame of its own, as Debian's includes it."""
    make_certificate(folder)
    site = site.replace("/etc/maestro-console/", f"{folder}/").replace("/var/log/nginx/", f"{folder}/")
    (folder / "site.conf").write_text(listening(site, plain_port or free_port(), tls_port or free_port()))
    temporary = "".join(
        f"{word}_temp_path {folder}/{word}; " for word in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    whole = f"pid {folder}/pid; events {{}} http {{ access_log {folder}/usual.log; {temporary} include {folder}/site.conf; }}"
    (folder / "nginx.conf").write_text(whole)
    program = shutil.which("nginx") or "/usr/sbin/nginx"
    return [program, "-p", str(folder), "-c", str(folder / "nginx.conf"), "-e", "stderr"]


def make_certificate(folder: Path) -> None:
    request = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    request += ["-subj", "/CN=localhost", "-days", "2"]
    command = [*request, "-keyout", str(folder / "tls.key"), "-out", str(folder / "tls.crt")]
    subprocess.run(command, check=True, capture_output=True)


def ask_with_secrets(port: int) -> int:
    """A request that names a canary wherever a browser may put a secret."""
    answer = requests.get(
        f"https://localhost:{port}/oauth/callback/?code=canary",
        headers={"Referer": "https://localhost/?name=canary", "Cookie": "session=canary", "User-Agent": "canary"},
        verify=False,  # noqa: S501  # of this test's own proxy
        timeout=10,
    )
    return answer.status_code


@pytest.mark.filterwarnings("ignore:Unverified HTTPS request")
def test_nginx_keeps_no_address_of_a_page_in_its_logs(tmp_path: Path) -> None:
    """O-15: a callback holds a sign-in code; here the console is away, of which nginx would complain with the whole address."""
    needs("nginx", "openssl")
    plain_port, tls_port = free_port(), free_port()
    site = (DEPLOY / "nginx.conf").read_text().replace("127.0.0.1:8000", f"127.0.0.1:{free_port()}")
    command = nginx_command(tmp_path, site, plain_port=plain_port, tls_port=tls_port)
    with (
        (tmp_path / "stderr").open("wb") as sink,
        subprocess.Popen([*command, "-g", "daemon off;"], stderr=sink) as running,
    ):
        try:
            assert wait_until("nginx answers", lambda: answers(lambda: ask_with_secrets(tls_port))) == 502
            away = f"http://localhost:{plain_port}/oauth/callback/?code=canary"
            stranger = requests.get(away, headers={"Host": "evil.example"}, allow_redirects=False, timeout=10)
            assert stranger.headers["Location"].startswith("https://console.example.com/")
        finally:
            running.terminate()
    lines = (tmp_path / "maestro-console.log").read_text().splitlines()
    assert [re.search(r" (GET \d+) ", line)[1] for line in lines] == ["GET 502", "GET 301"]  # type: ignore[index]
    assert holding_a_canary(tmp_path) == []


@pytest.mark.filterwarnings("ignore:Unverified HTTPS request")
def test_caddy_keeps_no_address_of_a_page_in_its_log(tmp_path: Path) -> None:
    """O-15: as with nginx."""
    needs("caddy", "openssl")
    make_certificate(tmp_path)
    port = free_port()
    text = (DEPLOY / "Caddyfile").read_text().replace("127.0.0.1:8000", f"127.0.0.1:{free_port()}")
    text = text.replace("\n{\n", "\n{\n\tadmin off\n\tauto_https off\n", 1)
    tls = f"localhost:{port} {{\n\ttls {tmp_path / 'tls.crt'} {tmp_path / 'tls.key'}\n"
    (tmp_path / "Caddyfile").write_text(text.replace("console.example.com {\n", tls))
    command = ["caddy", "run", "--adapter", "caddyfile", "--config", str(tmp_path / "Caddyfile")]
    variables = {"PATH": "/usr/bin:/bin:/usr/local/bin", "HOME": str(tmp_path)}
    with (tmp_path / "stderr").open("wb") as sink, subprocess.Popen(command, env=variables, stderr=sink) as running:
        try:
            assert wait_until("caddy answers", lambda: answers(lambda: ask_with_secrets(port))) == 502
        finally:
            running.terminate()
    assert '"status":502' in (tmp_path / "stderr").read_text()
    assert holding_a_canary(tmp_path) == []


def answers(ask: Callable[[], int]) -> int | None:
    try:
        return ask()
    except requests.ConnectionError:
        return None


def holding_a_canary(folder: Path) -> list[str]:
    return [each.name for each in folder.iterdir() if each.is_file() and b"canary" in each.read_bytes()]


@pytest.mark.parametrize("name", ["nginx.conf", "nginx-many.conf"])
def test_nginx_listens_on_both_kinds_of_addresses(name: str) -> None:
    found = re.findall(r"^    listen (\S+?);?(?: |$)", (DEPLOY / name).read_text(), re.M)
    assert found == ["80", "[::]:80", "443", "[::]:443"]


def test_both_nginx_files_differ_in_their_servers_alone() -> None:
    one, many = ((DEPLOY / name).read_text().split("\n\n", 1)[1] for name in ("nginx.conf", "nginx-many.conf"))
    assert one == many


def test_caddy_takes_its_configuration(tmp_path: Path) -> None:
    needs("caddy")
    assert caddy(tmp_path, (DEPLOY / "Caddyfile").read_text()) == 0
    assert caddy(tmp_path, (DEPLOY / "Caddyfile").read_text().replace("reverse_proxy", "reverse_proxi")) != 0


def caddy(folder: Path, text: str) -> int:
    (folder / "Caddyfile").write_text(text)
    command = ["caddy", "validate", "--adapter", "caddyfile", "--config", str(folder / "Caddyfile")]
    variables = {"PATH": "/usr/bin:/bin:/usr/local/bin", "HOME": str(folder)}
    return subprocess.run(command, capture_output=True, env=variables).returncode


def test_the_environment_files_hold_every_variable_and_no_other() -> None:
    explained = settings_of("console.env").keys() | settings_of("backup.env").keys()
    assert explained == variables_of_the_page()
    assert explained == variables_of_the_settings()


def test_every_variable_of_the_environment_files_stands_under_a_sentence() -> None:
    bare = []
    for name in ("console.env", "backup.env"):
        lines = (DEPLOY / name).read_text().splitlines()
        for number, line in enumerate(lines):
            above = number - 1
            while SETTING.match(lines[above]):
                above -= 1
            if SETTING.match(line) and not lines[above].startswith("# "):
                bare.append(line)
    assert bare == []


def managed(folder: Path, settings: str) -> subprocess.CompletedProcess[str]:
    """What `console-manage` gives to the command that it runs."""
    (folder / "console.env").write_text(settings)
    runuser = folder / "runuser"
    runuser.write_text("#!/bin/sh\numask\nexec env\n")
    runuser.chmod(0o755)
    script = (DEPLOY / "console-manage").read_text().replace("/etc/maestro-console", str(folder))
    variables = {"PATH": f"{folder}:/usr/bin:/bin"}
    script = script.replace("/opt/maestro-console", str(folder))
    return subprocess.run(["sh", "-c", script, "x", "check"], capture_output=True, text=True, env=variables)


def test_a_command_and_a_unit_get_the_same_settings(tmp_path: Path) -> None:
    """`console-manage` reads the file by a shell, systemd by its own rules."""
    text = re.sub(r"^#(?=[A-Z_]+=)", "", (DEPLOY / "console.env").read_text(), flags=re.M)
    ended = managed(tmp_path, text)
    assert ended.returncode == 0, ended.stderr
    given = dict(line.partition("=")[::2] for line in ended.stdout.splitlines())
    assert read_environment(text).items() <= given.items()
    assert ended.stdout.startswith("0077\n")


@pytest.mark.parametrize(
    "line",
    [
        "DATABASE_URL=postgres://c:pa$$word@db/c?sslmode=verify-full&sslrootcert=/etc/ssl/a.pem",
        "CACHE_URL=redis://:a#b`touch ran`$(touch ran);touch ran@h:6379/1",
        'RATE_LIMITS="write=30, $HOME (more) | less"  ',
        "DJANGO_SECRET_KEY='a=b c'",
        "  TOKEN_KEYS=abc==",
    ],
)
def test_no_sign_in_a_setting_means_anything_to_the_shell(line: str, tmp_path: Path) -> None:
    ended = managed(tmp_path, f"DJANGO_DEBUG=false\n{line}")
    name, _, value = line.strip().partition("=")
    assert f"{name}={value.strip(chr(34) + chr(39))}\n" in ended.stdout, ended.stderr
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("line", ["sesame open", "A B=c", 'NAME="a"b"', "NAME='a", "NAME=a\\b", "NAME= a"])
def test_a_line_that_systemd_would_take_otherwise_is_refused_without_its_value(line: str, tmp_path: Path) -> None:
    ended = managed(tmp_path, f"DJANGO_DEBUG=false\n{line}\n")
    assert ended.returncode == 1
    assert "cannot be read" in ended.stderr
    assert "sesame" not in ended.stderr


def test_what_is_written_as_the_default_is_the_default() -> None:
    """A line that begins with # says what holds without it; the page says the same."""
    page = (ROOT / "docs/configuration.md").read_text()
    for name, value in settings_of("console.env").items():
        row = re.search(rf"^\| `{name}` \| ([^|]*) \|", page, re.M)
        assert row, name
        is_comment = f"#{name}=" in (DEPLOY / "console.env").read_text()
        if is_comment:
            assert value.strip('"') in row[1] or (value == "" and "empty" in row[1]), name


def test_gunicorn_takes_its_configuration_and_listens_on_this_machine_only() -> None:
    read: dict[str, object] = {}
    exec((DEPLOY / "gunicorn.conf.py").read_text(), read)  # noqa: S102  # as gunicorn itself does
    assert str(read["bind"]).startswith("127.0.0.1:")
    assert read["worker_class"] == "gthread"
    assert read["control_socket_disable"] is True
