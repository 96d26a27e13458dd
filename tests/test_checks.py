"""S-19: a bad setting stops the start, each with one clear line; a good one passes Django's own deployment check."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from dashboard import checks
from tests.processes import product_environment

ROOT = Path(__file__).resolve().parent.parent
KEY = "q83vEjRWeJq83u8SNFZ4mqvN7xI0VniavM3vEjRWeJo="
ACCOUNT = "6f1d2c1a-5a0e-4c1b-9a52-3f0f6a7c1d01"
GOOD = {
    "DJANGO_SECRET_KEY": "b7Yk2-only-for-tests-0pQwXz9-Lr4Tn8Vs1Hd6Fg3Jm5Cu-eAoIy",
    "DJANGO_DEBUG": "false",
    "DJANGO_ALLOWED_HOSTS": "console.example.com",
    "TOKEN_KEYS": KEY,
    "BACKUP_KEYS": "",
    "DOCUSIGN_ENVIRONMENT": "production",
    "DOCUSIGN_CLIENT_ID": "0c5e7a94-2b61-4d3f-9e8a-5f1c6b7d2a10",
    "DOCUSIGN_CLIENT_SECRET": "5b8f0e3d-7c42-4a96-b1d5-e60a9f2c8d77",
    "DOCUSIGN_REDIRECT_URI": "https://console.example.com/oauth/callback/",
    "DOCUSIGN_SCOPES": "signature aow_manage",
    "DOCUSIGN_API_URL": "",
    "CONSOLE_ACCOUNTS": "6f1d2c1a-5a0e-4c1b-9a52-3f0f6a7c1d01",
    "CONNECT_HMAC_KEYS": "",
    "SYNC_INTERVAL_SECONDS": "900",
    "FULL_SYNC_INTERVAL_SECONDS": "86400",
    "APPROVAL_HOURS": "24",
    "UNDO_SECONDS": "10",
    "BATCH_RATE_PER_SECOND": "0.5",
    "BATCH_MAX_ROWS": "10000",
    "DOCUSIGN_SERVICE_USER": "",
    "DOCUSIGN_SERVICE_KEY": "",
    "LOG_LEVEL": "INFO",
    "RATE_LIMITS": "",
    "TRUSTED_PROXIES": "127.0.0.1,::1",
    "SESSION_IDLE_MINUTES": "60",
    "SESSION_HOURS": "12",
}
SIMULATED = {
    "DOCUSIGN_ENVIRONMENT": "simulator",
    "DJANGO_ALLOWED_HOSTS": "127.0.0.1",
    "DOCUSIGN_REDIRECT_URI": "http://127.0.0.1:8000/oauth/callback/",
    "DOCUSIGN_SIMULATOR_URL": "http://127.0.0.1:9000",
}
# What is changed, and the variable that the line must name.
BAD: list[tuple[dict[str, str], str]] = [
    ({"DJANGO_SECRET_KEY": ""}, "DJANGO_SECRET_KEY"),
    ({"DJANGO_SECRET_KEY": "short"}, "DJANGO_SECRET_KEY"),
    ({"DJANGO_SECRET_KEY": "a" * 60}, "DJANGO_SECRET_KEY"),
    ({"DJANGO_DEBUG": "maybe"}, "DJANGO_DEBUG"),
    ({"DJANGO_DEBUG": "true"}, "DJANGO_DEBUG"),
    ({"DJANGO_ALLOWED_HOSTS": "*"}, "DJANGO_ALLOWED_HOSTS"),
    ({"DJANGO_ALLOWED_HOSTS": ""}, "DJANGO_ALLOWED_HOSTS"),
    ({"TOKEN_KEYS": ""}, "TOKEN_KEYS"),
    ({"TOKEN_KEYS": "not base64!"}, "TOKEN_KEYS"),
    ({"TOKEN_KEYS": "c2hvcnQ="}, "TOKEN_KEYS"),
    ({"TOKEN_KEYS": f"{KEY},{KEY}"}, "TOKEN_KEYS"),
    ({"TOKEN_KEYS": "A" * 43 + "="}, "TOKEN_KEYS"),
    ({"RATE_LIMITS": "writes=5"}, "RATE_LIMITS"),
    ({"RATE_LIMITS": "write=often"}, "RATE_LIMITS"),
    ({"RATE_LIMITS": "write=-1"}, "RATE_LIMITS"),
    ({"RATE_LIMITS": "60"}, "RATE_LIMITS"),
    ({"TRUSTED_PROXIES": "nginx"}, "TRUSTED_PROXIES"),
    ({"TRUSTED_PROXIES": "0.0.0.0/0"}, "TRUSTED_PROXIES"),
    ({"TRUSTED_PROXIES": "::/0"}, "TRUSTED_PROXIES"),
    ({"SESSION_IDLE_MINUTES": "4"}, "SESSION_IDLE_MINUTES"),
    ({"SESSION_IDLE_MINUTES": "121", "SESSION_HOURS": "2"}, "SESSION_IDLE_MINUTES"),
    ({"SESSION_HOURS": "25"}, "SESSION_HOURS"),
    ({"SESSION_HOURS": "long"}, "SESSION_HOURS"),
    ({"AUDIT_RETENTION_DAYS": "399"}, "AUDIT_RETENTION_DAYS"),
    ({"AUDIT_ANCHOR_FILE": "/no/such/folder/heads.jsonl"}, "AUDIT_ANCHOR_FILE"),
    ({"INPUT_RETENTION_DAYS": "0"}, "INPUT_RETENTION_DAYS"),
    ({"BACKUP_KEYS": "c2hvcnQ="}, "BACKUP_KEYS"),
    ({"BACKUP_KEYS": KEY}, "BACKUP_KEYS"),
    ({"DOCUSIGN_ENVIRONMENT": "staging"}, "DOCUSIGN_ENVIRONMENT"),
    ({"DOCUSIGN_CLIENT_ID": ""}, "DOCUSIGN_CLIENT_ID"),
    ({"DOCUSIGN_CLIENT_ID": "my-app"}, "DOCUSIGN_CLIENT_ID"),
    ({"DOCUSIGN_CLIENT_SECRET": ""}, "DOCUSIGN_CLIENT_SECRET"),
    ({"DOCUSIGN_REDIRECT_URI": ""}, "DOCUSIGN_REDIRECT_URI"),
    ({"DOCUSIGN_REDIRECT_URI": "http://console.example.com/oauth/callback/"}, "DOCUSIGN_REDIRECT_URI"),
    ({"DOCUSIGN_REDIRECT_URI": "https://console.example.com/elsewhere/"}, "DOCUSIGN_REDIRECT_URI"),
    ({"DOCUSIGN_REDIRECT_URI": "/oauth/callback/"}, "DOCUSIGN_REDIRECT_URI"),
    ({"DOCUSIGN_SCOPES": "signature"}, "DOCUSIGN_SCOPES"),
    ({"DOCUSIGN_SCOPES": "signature aow_manage openid"}, "DOCUSIGN_SCOPES"),
    ({"DOCUSIGN_API_URL": "http://127.0.0.1:9000"}, "DOCUSIGN_API_URL"),
    (SIMULATED | {"DJANGO_ALLOWED_HOSTS": "console.example.com"}, "DJANGO_ALLOWED_HOSTS"),
    (SIMULATED | {"DOCUSIGN_SIMULATOR_URL": "http://docusign.example.com"}, "DOCUSIGN_SIMULATOR_URL"),
    (SIMULATED | {"DOCUSIGN_SIMULATOR_URL": "https://account.docusign.com"}, "DOCUSIGN_SIMULATOR_URL"),
    (SIMULATED | {"DOCUSIGN_API_URL": "https://api.docusign.com"}, "DOCUSIGN_API_URL"),
    (SIMULATED | {"DOCUSIGN_REDIRECT_URI": "http://console.example.com/oauth/callback/"}, "DOCUSIGN_REDIRECT_URI"),
    ({"CONSOLE_ACCOUNTS": "123456"}, "CONSOLE_ACCOUNTS"),
    ({"CONNECT_HMAC_KEYS": "short"}, "CONNECT_HMAC_KEYS"),
    ({"DOCUSIGN_SERVICE_USER": "not-a-user", "DOCUSIGN_SERVICE_KEY": "/nonexistent.pem"}, "DOCUSIGN_SERVICE_USER"),
    ({"DOCUSIGN_SERVICE_USER": ACCOUNT, "DOCUSIGN_SERVICE_KEY": "/nonexistent.pem"}, "DOCUSIGN_SERVICE_KEY"),
    ({"DOCUSIGN_SERVICE_USER": ACCOUNT, "DOCUSIGN_SERVICE_KEY": "-----BEGIN nothing"}, "DOCUSIGN_SERVICE_KEY"),
    ({"DOCUSIGN_SERVICE_USER": ACCOUNT}, "DOCUSIGN_SERVICE_KEY"),
    ({"DOCUSIGN_SERVICE_KEY": "/nonexistent.pem"}, "DOCUSIGN_SERVICE_USER"),
    ({"FULL_SYNC_INTERVAL_SECONDS": "60"}, "FULL_SYNC_INTERVAL_SECONDS"),
    ({"APPROVAL_HOURS": "0"}, "APPROVAL_HOURS"),
    ({"APPROVAL_HOURS": "a day"}, "APPROVAL_HOURS"),
    ({"SYNC_INTERVAL_SECONDS": "-5"}, "SYNC_INTERVAL_SECONDS"),
    ({"UNDO_SECONDS": "9"}, "UNDO_SECONDS"),
    ({"UNDO_SECONDS": "a minute"}, "UNDO_SECONDS"),
    ({"BATCH_RATE_PER_SECOND": "0"}, "BATCH_RATE_PER_SECOND"),
    ({"BATCH_RATE_PER_SECOND": "nan"}, "BATCH_RATE_PER_SECOND"),
    ({"BATCH_MAX_ROWS": "1000000"}, "BATCH_MAX_ROWS"),
    ({"SYNC_INTERVAL_SECONDS": "soon"}, "SYNC_INTERVAL_SECONDS"),
    ({"LOG_LEVEL": "LOUD"}, "LOG_LEVEL"),
    ({"DATABASE_URL": "mongo://db/console"}, "DATABASE_URL"),
    ({"DATABASE_URL": "db.sqlite3"}, "DATABASE_URL"),
    ({"DATABASE_URL": "sqlite:////nonexistent/db.sqlite3"}, "DATABASE_URL"),
    ({"CACHE_URL": "memcached://127.0.0.1"}, "CACHE_URL"),
    ({"CACHE_URL": "redis://"}, "CACHE_URL"),
    ({"SESSION_STORE": "cache"}, "SESSION_STORE"),
    ({"SESSION_STORE": "cookie"}, "SESSION_STORE"),
    ({"METRICS_TOKEN": "short", "METRICS_DIR": "."}, "METRICS_TOKEN"),
    ({"METRICS_ALLOWED": "127.0.0.1"}, "METRICS_DIR"),
    ({"METRICS_ALLOWED": "everybody"}, "METRICS_ALLOWED"),
    ({"OLD_SECRET_KEYS": "short"}, "OLD_SECRET_KEYS"),
    ({"SENTRY_DSN": "not an address"}, "SENTRY_DSN"),
    ({"QUEUE_URL": "kafka://queue"}, "QUEUE_URL"),
    ({"QUEUE_URL": "celery+amqp://127.0.0.1"}, "QUEUE_URL"),
    ({"QUEUE_URL": "celery+redis://"}, "QUEUE_URL"),
    ({"QUEUE_URL": "redis://127.0.0.1:many/0"}, "QUEUE_URL"),
    ({"QUEUE_URL": "redis://127.0.0.1/queue"}, "QUEUE_URL"),
    ({"QUEUE_URL": "sqlite:////nonexistent/queue.sqlite3"}, "QUEUE_URL"),
]


@pytest.fixture(autouse=True)
def _stores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", f"sqlite:///{tmp_path}/db.sqlite3")
    monkeypatch.setenv("QUEUE_URL", f"sqlite:///{tmp_path}/queue.sqlite3")


def run(changes: dict[str, str], *command: str) -> subprocess.CompletedProcess[str]:
    variables = {name: value for name, value in product_environment().items() if name not in GOOD | SIMULATED}
    variables |= {"DJANGO_SETTINGS_MODULE": "dashboard.settings"} | GOOD | changes
    return subprocess.run(
        [sys.executable, *command], cwd=ROOT, env=variables, capture_output=True, text=True, timeout=60, check=False
    )


@pytest.mark.processes
@pytest.mark.parametrize(("changes", "named"), BAD, ids=[f"{name}-{n}" for n, (_, name) in enumerate(BAD)])
def test_a_bad_setting_stops_the_start_with_one_line_that_names_it(changes: dict[str, str], named: str) -> None:
    """S-19: exit other than 0, one line a fault, the variable named and its value not repeated."""
    ended = run(changes, "manage.py", "check")
    lines = ended.stderr.strip().splitlines()
    assert ended.returncode != 0
    assert lines, ended.stdout
    assert all(line.startswith("Settings: ") for line in lines), ended.stderr
    assert any(named in line for line in lines), ended.stderr


@pytest.mark.processes
def test_the_server_refuses_bad_settings_like_the_commands_do() -> None:
    """S-19: the WSGI entry ends with the same line."""
    ended = run({"TOKEN_KEYS": "c2hvcnQ="}, "-c", "import dashboard.wsgi")
    assert ended.returncode != 0
    assert ended.stderr.strip().splitlines() == [
        "Settings: TOKEN_KEYS cannot be used: key 1 of 1: a key has 5 bytes instead of 32."
    ]


@pytest.mark.processes
def test_a_production_like_environment_passes_the_deployment_check() -> None:
    """S-18: Django's own check finds nothing to warn of."""
    ended = run({}, "manage.py", "check", "--deploy", "--fail-level", "WARNING")
    assert ended.returncode == 0, ended.stderr
    assert "no issues" in ended.stdout


@pytest.mark.processes
def test_a_rehearsal_on_this_machine_may_start() -> None:
    ended = run(SIMULATED, "manage.py", "check")
    assert ended.returncode == 0, ended.stderr


def test_the_secret_key_may_not_be_a_token_key(settings: Any) -> None:
    """S-19: one leak must not open both."""
    long_key = KEY + "x" * 20
    settings.SECRET_KEY = long_key
    settings.TOKEN_KEYS = [long_key]
    assert any("each needs a value of its own" in line for line in checks.problems())


def test_an_older_secret_key_is_none_that_still_signs(settings: Any) -> None:
    """S-19: and Django itself gets none of them, so what was replaced opens no session (S-6)."""
    settings.OLD_SECRET_KEYS = [settings.SECRET_KEY]
    assert any("holds the present DJANGO_SECRET_KEY" in line for line in checks.problems())
    assert settings.SECRET_KEY_FALLBACKS == []


@pytest.mark.parametrize("command", ["work", "backup", "restore", "restored", "migrate", "rotate_key"])
def test_only_the_process_that_serves_needs_the_folder_of_its_counts(
    settings: Any, tmp_path: Path, command: str
) -> None:
    """S-19: systemd takes it away while that one is stopped, which is just when a backup is restored."""
    settings.METRICS_DIR = str(tmp_path / "gone")
    line = "METRICS_DIR names a folder that does not exist"
    with pytest.raises(SystemExit, match=line):
        checks.refuse_bad_settings(["wsgi", "serve"])
    with pytest.raises(SystemExit) as ended:  # for what is wrong with the settings of tests
        checks.refuse_bad_settings(["manage.py", command])
    assert line not in str(ended.value)


def test_no_line_repeats_a_secret(settings: Any) -> None:
    settings.TOKEN_KEYS = ["a-canary-that-is-no-key"]
    settings.CONNECT_HMAC_KEYS = ["canary-hmac"]
    settings.DOCUSIGN_CLIENT_ID = "canary-client"
    assert "canary" not in "".join(checks.problems())


@pytest.mark.parametrize("command", sorted(checks.NEED_NO_SETTINGS))
def test_commands_that_bring_their_own_settings_start_without_any(settings: Any, command: str) -> None:
    settings.TOKEN_KEYS = []
    assert checks.refuse_bad_settings(["manage.py", "-v", command]) is None  # type: ignore[func-returns-value]


@pytest.mark.processes
def test_outside_a_rehearsal_cookies_are_bound_to_the_host_and_tls() -> None:
    """S-7, S-9: the names carry the prefix that browsers enforce, and HSTS lasts a year."""
    shown = (
        "from django.conf import settings as s;"
        "print(s.SESSION_COOKIE_NAME, s.CSRF_COOKIE_NAME, s.THEME_COOKIE_NAME, s.SESSION_COOKIE_SECURE,"
        " s.CSRF_COOKIE_SECURE, s.SECURE_HSTS_SECONDS, s.SECURE_HSTS_INCLUDE_SUBDOMAINS)"
    )
    ended = run({}, "-c", shown)
    assert ended.stdout.split() == ["__Host-session", "__Host-csrf", "__Host-theme", "True", "True", "31536000", "True"]


@pytest.mark.parametrize(
    ("scheme", "package"), [("redis", "redis"), ("postgres", "psycopg"), ("celery+redis", "celery")]
)
def test_a_queue_whose_package_is_missing_is_said_at_the_start(
    settings: Any, monkeypatch: pytest.MonkeyPatch, scheme: str, package: str
) -> None:
    """S-19: not as a failed import in the first job."""
    monkeypatch.setattr(checks, "find_spec", lambda name: None)
    settings.QUEUE_URL = f"{scheme}://127.0.0.1:6379/0"
    lines = checks.problems()
    assert f"QUEUE_URL of this kind needs the Python package {package}, which is not installed." in lines
