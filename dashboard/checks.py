"""Start-up checks (S-19): a bad setting stops the start. Their one rule: one line each, which names the variable, never its value."""

import re
import sys
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import SplitResult, urlsplit
from uuid import UUID

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from dashboard import crypto
from dashboard.startup import read_pem

ENVIRONMENTS = ("simulator", "demo", "production")
DATABASE_ENGINES = ("django.db.backends.sqlite3", "dashboard.postgresql")
QUEUE_SCHEMES = ("sqlite", "redis", "rediss", "postgres", "postgresql", "celery+redis")
# The packages that a store needs beyond requirements.txt.
STORE_PACKAGES = {
    "redis": ("redis",),
    "rediss": ("redis",),
    "postgres": ("psycopg",),
    "postgresql": ("psycopg",),
    "celery+redis": ("celery", "redis"),
}
LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1", "[::1]"})
SECRET_LENGTH = 50
RSA_BITS = 2048
HMAC_KEY_LENGTH = 32
METRICS_TOKEN_LENGTH = 20
LARGEST_EVENT = 25 * 1024 * 1024  # more is never read
LONGEST_APPROVAL_HOURS = 30 * 24
SHORTEST_UNDO, LONGEST_UNDO = 10, 60
FASTEST_BATCH = 50
MOST_ROWS = 100_000
SHORTEST_AUDIT_DAYS, LONGEST_AUDIT_DAYS = 400, 36_500
LONGEST_INPUT_DAYS = 3_650
LONGEST_SESSION_HOURS, SHORTEST_IDLE_MINUTES = 24, 5
CALLBACK_PATH = "/oauth/callback/"
# These run before there is a configuration, or bring their own.
NEED_NO_SETTINGS = frozenset({"demo", "simulator", "help", "version", "collectstatic", "makemigrations"})
SERVING = frozenset({"serve", "runserver"})


def problems(*, is_serving: bool = True) -> list[str]:
    """Every bad setting as one line; empty when the console may start. Some concern only the process that serves pages."""
    return [line for check in (*CHECKS, *(SERVING_CHECKS if is_serving else ())) for line in check()]


def refuse_bad_settings(arguments: list[str]) -> None:
    """End the process with one line for each bad setting; commands that need no settings pass."""
    command = next((each for each in arguments[1:] if not each.startswith("-")), "help")
    if command in NEED_NO_SETTINGS:
        return
    if found := problems(is_serving=command in SERVING):
        sys.exit("\n".join(f"Settings: {line}" for line in found))


def _secret_key() -> Iterator[str]:
    try:
        secret = settings.SECRET_KEY
    except ImproperlyConfigured:
        secret = ""
    if not secret:
        yield "DJANGO_SECRET_KEY is missing; set it to at least 50 random characters."
    elif len(secret) < SECRET_LENGTH or len(set(secret)) < 10 or secret.startswith("django-insecure-"):
        yield "DJANGO_SECRET_KEY is too weak; set it to at least 50 random characters."
    elif secret in {key.strip() for key in settings.TOKEN_KEYS}:
        yield "DJANGO_SECRET_KEY is one of TOKEN_KEYS; each needs a value of its own."
    if secret and secret in settings.OLD_SECRET_KEYS:
        yield "OLD_SECRET_KEYS holds the present DJANGO_SECRET_KEY; it names only the values before it."
    if any(len(old.strip()) < SECRET_LENGTH for old in settings.OLD_SECRET_KEYS):
        yield "OLD_SECRET_KEYS must hold values that DJANGO_SECRET_KEY had, of 50 characters or more, with commas between them."


def _token_keys() -> Iterator[str]:
    if not settings.TOKEN_KEYS:
        yield "TOKEN_KEYS is missing; set it to the base64 of 32 random bytes (several keys with commas, the newest first)."
    yield from _ring_problems("TOKEN_KEYS", settings.TOKEN_KEYS)


def _backup_keys() -> Iterator[str]:
    yield from _ring_problems("BACKUP_KEYS", settings.BACKUP_KEYS)
    others = {key.strip() for key in settings.TOKEN_KEYS}
    if others & {key.strip() for key in settings.BACKUP_KEYS}:
        yield "BACKUP_KEYS holds one of TOKEN_KEYS; a backup needs a key of its own."


def _ring_problems(name: str, ring: list[str]) -> Iterator[str]:
    seen = set()
    for number, text in enumerate(ring, start=1):
        try:
            key = crypto.decode_key(text)
        except crypto.BadKey as error:
            yield f"{name} cannot be used: key {number} of {len(ring)}: {error}."
            continue
        if key in seen:
            yield f"{name} names one key twice (number {number})."
        if len(set(key)) < 8:
            yield f"{name} cannot be used: key {number} is not random."
        seen.add(key)


def _hosts() -> Iterator[str]:
    hosts = settings.ALLOWED_HOSTS
    if not hosts:
        yield "DJANGO_ALLOWED_HOSTS is empty; name the host of this console."
    if any("*" in host for host in hosts):
        yield "DJANGO_ALLOWED_HOSTS must name each host; '*' would let any site speak for this console."
    elif settings.DOCUSIGN_ENVIRONMENT == "simulator" and not set(hosts) <= LOOPBACK:
        yield "DJANGO_ALLOWED_HOSTS must be hosts of this machine only while DOCUSIGN_ENVIRONMENT is simulator."
    if settings.DEBUG and not set(hosts) <= LOOPBACK:
        yield "DJANGO_DEBUG must be off where DJANGO_ALLOWED_HOSTS names anything but this machine."


def _environment() -> Iterator[str]:
    if settings.DOCUSIGN_ENVIRONMENT not in ENVIRONMENTS:
        yield "DOCUSIGN_ENVIRONMENT must be simulator, demo or production."
    for name in ("DOCUSIGN_CLIENT_ID", "DOCUSIGN_CLIENT_SECRET", "DOCUSIGN_REDIRECT_URI"):
        if not getattr(settings, name):
            yield f"{name} is missing; Docusign gives it with the integration key."
    if settings.DOCUSIGN_CLIENT_ID and not _is_uuid(settings.DOCUSIGN_CLIENT_ID):
        yield "DOCUSIGN_CLIENT_ID must be the integration key, which is a UUID."
    if not {"signature", "aow_manage"} <= set(settings.DOCUSIGN_SCOPES):
        yield "DOCUSIGN_SCOPES must hold signature and aow_manage; every workflow call needs both."
    if {"openid", "impersonation"} & set(settings.DOCUSIGN_SCOPES):
        yield "DOCUSIGN_SCOPES must not hold openid or impersonation; this console uses neither."


def _redirect_uri() -> Iterator[str]:
    uri = settings.DOCUSIGN_REDIRECT_URI
    if not uri:
        return
    parts = _split(uri)
    if parts is None or not parts.hostname or parts.query or parts.fragment or parts.path != CALLBACK_PATH:
        yield f"DOCUSIGN_REDIRECT_URI must be the full address of this console's {CALLBACK_PATH}."
        return
    is_rehearsal = settings.DOCUSIGN_ENVIRONMENT == "simulator" and parts.hostname in LOOPBACK
    if parts.scheme != "https" and not (parts.scheme == "http" and is_rehearsal):
        yield "DOCUSIGN_REDIRECT_URI must begin with https (http only on this machine with the simulator)."


def _simulator() -> Iterator[str]:
    if settings.DOCUSIGN_API_URL and settings.DOCUSIGN_ENVIRONMENT != "simulator":
        yield "DOCUSIGN_API_URL is honoured only with DOCUSIGN_ENVIRONMENT=simulator; remove it."
    if settings.DOCUSIGN_ENVIRONMENT != "simulator":
        return
    for name in ("DOCUSIGN_SIMULATOR_URL", "DOCUSIGN_API_URL"):
        value = getattr(settings, name)
        parts = _split(value)
        is_local = parts is not None and parts.scheme in ("http", "https") and parts.hostname in LOOPBACK
        if (value or name == "DOCUSIGN_SIMULATOR_URL") and not is_local:
            yield f"{name} must be an http address on this machine, such as http://127.0.0.1:9000."


def _lists() -> Iterator[str]:
    if any(not _is_uuid(each) for each in settings.CONSOLE_ACCOUNTS):
        yield "CONSOLE_ACCOUNTS must be Docusign account ids (UUIDs) with commas between them."
    for number, key in enumerate(settings.CONNECT_HMAC_KEYS, start=1):
        if len(key.strip()) < HMAC_KEY_LENGTH:
            yield f"CONNECT_HMAC_KEYS cannot be used: key {number} has fewer than {HMAC_KEY_LENGTH} characters."


def _service_user() -> Iterator[str]:
    user, key = settings.DOCUSIGN_SERVICE_USER, settings.DOCUSIGN_SERVICE_KEY
    if not user and not key:
        return
    if not key:
        yield "DOCUSIGN_SERVICE_KEY is missing; DOCUSIGN_SERVICE_USER reads nothing without the RSA key."
    if not user:
        yield "DOCUSIGN_SERVICE_USER is missing; DOCUSIGN_SERVICE_KEY is of no use without the user's id."
    elif not _is_uuid(user):
        yield "DOCUSIGN_SERVICE_USER must be the Docusign user id of the service user, which is a UUID."
    if key and not _is_rsa_key(key):
        yield "DOCUSIGN_SERVICE_KEY must be a private RSA key of 2048 bits or more, as PEM text or as the path of its file."


def _is_rsa_key(text: str) -> bool:
    try:
        key = load_pem_private_key(read_pem(text).encode(), password=None)
    except (OSError, ValueError, TypeError, UnsupportedAlgorithm):
        return False
    return isinstance(key, RSAPrivateKey) and key.key_size >= RSA_BITS


def _figures() -> Iterator[str]:
    if not 0 < settings.CONNECT_MAX_BODY_BYTES <= LARGEST_EVENT:
        yield f"CONNECT_MAX_BODY_BYTES must be a whole number from 1 to {LARGEST_EVENT}."
    if settings.SYNC_INTERVAL_SECONDS <= 0:
        yield "SYNC_INTERVAL_SECONDS must be a whole number above 0."
    if not 0 < settings.APPROVAL_HOURS <= LONGEST_APPROVAL_HOURS:
        yield f"APPROVAL_HOURS must be a whole number from 1 to {LONGEST_APPROVAL_HOURS}."
    if settings.FULL_SYNC_INTERVAL_SECONDS < settings.SYNC_INTERVAL_SECONDS:
        yield "FULL_SYNC_INTERVAL_SECONDS must be a whole number no smaller than SYNC_INTERVAL_SECONDS."
    if not SHORTEST_UNDO <= settings.UNDO_SECONDS <= LONGEST_UNDO:
        yield f"UNDO_SECONDS must be a whole number from {SHORTEST_UNDO} to {LONGEST_UNDO}."
    if not 0 < settings.BATCH_RATE_PER_SECOND <= FASTEST_BATCH:
        yield f"BATCH_RATE_PER_SECOND must be a number above 0, at most {FASTEST_BATCH}."
    if not 0 < settings.BATCH_MAX_ROWS <= MOST_ROWS:
        yield f"BATCH_MAX_ROWS must be a whole number from 1 to {MOST_ROWS}."
    if not 1 <= settings.SESSION_HOURS <= LONGEST_SESSION_HOURS:
        yield f"SESSION_HOURS must be a whole number from 1 to {LONGEST_SESSION_HOURS}."
    if not SHORTEST_IDLE_MINUTES <= settings.SESSION_IDLE_MINUTES <= settings.SESSION_HOURS * 60:
        yield f"SESSION_IDLE_MINUTES must be a whole number from {SHORTEST_IDLE_MINUTES} to the minutes of SESSION_HOURS."
    if settings.LOG_LEVEL not in LOG_LEVELS:
        yield "LOG_LEVEL must be DEBUG, INFO, WARNING, ERROR or CRITICAL."


def _keeping() -> Iterator[str]:
    if not SHORTEST_AUDIT_DAYS <= settings.AUDIT_RETENTION_DAYS <= LONGEST_AUDIT_DAYS:
        yield f"AUDIT_RETENTION_DAYS must be a whole number from {SHORTEST_AUDIT_DAYS} to {LONGEST_AUDIT_DAYS}."
    if not 1 <= settings.INPUT_RETENTION_DAYS <= LONGEST_INPUT_DAYS:
        yield f"INPUT_RETENTION_DAYS must be a whole number from 1 to {LONGEST_INPUT_DAYS}."
    if settings.AUDIT_ANCHOR_FILE and not _has_folder(settings.AUDIT_ANCHOR_FILE):
        yield "AUDIT_ANCHOR_FILE names a file in a folder that does not exist."


def _stores() -> Iterator[str]:
    database = settings.DATABASES["default"]
    if database.get("ENGINE") not in DATABASE_ENGINES:
        yield "DATABASE_URL must begin with sqlite:/// or postgres://."
    elif database["ENGINE"].endswith("sqlite3") and not _has_folder(str(database["NAME"])):
        yield "DATABASE_URL names a file in a folder that does not exist."
    scheme, _, place = settings.QUEUE_URL.partition("://")
    missing = [name for name in STORE_PACKAGES.get(scheme, ()) if find_spec(name) is None]
    if scheme not in QUEUE_SCHEMES:
        yield "QUEUE_URL must begin with sqlite:///, redis://, postgres:// or celery+redis://."
    elif missing:
        yield f"QUEUE_URL of this kind needs the Python package {missing[0]}, which is not installed."
    elif "redis" in scheme and not _is_redis(settings.QUEUE_URL):
        yield "QUEUE_URL must name a Redis as redis://[:password@]host[:port][/number]."
    elif scheme == "sqlite" and not _has_folder(place.removeprefix("/")):
        yield "QUEUE_URL names a file in a folder that does not exist."


def _cache() -> Iterator[str]:
    if settings.CACHE_URL and (
        settings.CACHE_URL.partition("://")[0] not in ("redis", "rediss") or not _is_redis(settings.CACHE_URL)
    ):
        yield "CACHE_URL must name a Redis as redis://[:password@]host[:port][/number], or be empty."
    elif settings.CACHE_URL and find_spec("redis") is None:
        yield "CACHE_URL needs the Python package redis, which is not installed."
    if settings.SESSION_STORE not in ("database", "cache"):
        yield "SESSION_STORE must be database or cache."
    elif settings.SESSION_STORE == "cache" and not settings.CACHE_URL:
        yield "SESSION_STORE can be cache only where CACHE_URL names a Redis."


def _watching() -> Iterator[str]:
    if settings.METRICS_TOKEN and len(settings.METRICS_TOKEN) < METRICS_TOKEN_LENGTH:
        yield f"METRICS_TOKEN is too short; set it to at least {METRICS_TOKEN_LENGTH} random characters."
    if (settings.METRICS_TOKEN or settings.METRICS_ALLOWED) and not settings.METRICS_DIR:
        yield "METRICS_DIR is missing; without it requests would be counted for each process by itself."
    if settings.SENTRY_DSN and find_spec("sentry_sdk") is None:
        yield "SENTRY_DSN needs the Python package sentry-sdk, which is not installed."


def _metrics_folder() -> Iterator[str]:
    """Nobody else writes there, and systemd takes the folder away while the web process is stopped."""
    if settings.METRICS_DIR and not Path(settings.METRICS_DIR).is_dir():
        yield "METRICS_DIR names a folder that does not exist."


CHECKS: tuple[Callable[[], Iterator[str]], ...] = (
    _secret_key,
    _token_keys,
    _backup_keys,
    _hosts,
    _environment,
    _redirect_uri,
    _simulator,
    _lists,
    _service_user,
    _figures,
    _keeping,
    _stores,
    _cache,
    _watching,
)
SERVING_CHECKS: tuple[Callable[[], Iterator[str]], ...] = (_metrics_folder,)


def _has_folder(file: str) -> bool:
    return file.startswith((":memory:", "file:")) or Path(file).absolute().parent.is_dir()


def _is_redis(url: str) -> bool:
    parts = _split(url)
    return parts is not None and bool(parts.hostname) and re.fullmatch(r"(/\d*)?", parts.path) is not None


def _is_uuid(text: str) -> bool:
    if not re.fullmatch(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", text):
        return False
    return UUID(text).int != 0


def _split(url: str) -> SplitResult | None:
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return None
    return parts
