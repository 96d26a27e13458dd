"""Django settings, read from the environment only. `docs/configuration.md` explains every variable.

The one rule: a bad value stops the start with one clear line (`dashboard/checks.py`); nothing here guesses.
"""

import sys
from pathlib import Path
from urllib.parse import urlsplit

import environ
from csp.constants import NONE, SELF

from dashboard.guard_settings import read_limits, read_proxies
from dashboard.startup import (
    caches,
    postgres_options,
    queue_backend,
    read_database,
    read_flag,
    read_setting,
    start_reports,
)

BASE_DIR = Path(__file__).resolve().parent.parent
env = environ.Env()

# --- What kind of console this is -----------------------------------------------------------------------------------
SECRET_KEY = env.str("DJANGO_SECRET_KEY", default="")
# Secrets before the present one, only to tell what they signed in the audit and marked at Docusign. Django must not have them as
# its fallbacks: one that was replaced because it leaked would still open sessions and whatever else is signed.
OLD_SECRET_KEYS = env.list("OLD_SECRET_KEYS", default=[])
DEBUG = read_flag(env, "DJANGO_DEBUG", default=False)
ALLOWED_HOSTS = env.list("DJANGO_ALLOWED_HOSTS", default=["127.0.0.1", "localhost"])
TOKEN_KEYS = env.list("TOKEN_KEYS", default=[])
# Only `backup` and `restore` need these; best set for them alone, since a backup beside its key is no secret.
BACKUP_KEYS = env.list("BACKUP_KEYS", default=[])

DOCUSIGN_ENVIRONMENT = env.str("DOCUSIGN_ENVIRONMENT", default="demo")
DOCUSIGN_CLIENT_ID = env.str("DOCUSIGN_CLIENT_ID", default="")
DOCUSIGN_CLIENT_SECRET = env.str("DOCUSIGN_CLIENT_SECRET", default="")
DOCUSIGN_REDIRECT_URI = env.str("DOCUSIGN_REDIRECT_URI", default="")
DOCUSIGN_SCOPES = env.str("DOCUSIGN_SCOPES", default="signature aow_manage").split()
DOCUSIGN_SIMULATOR_URL = env.str("DOCUSIGN_SIMULATOR_URL", default="http://127.0.0.1:9000")
DOCUSIGN_API_URL = env.str("DOCUSIGN_API_URL", default="")
# Docusign documents no way to revoke a token, so a real one is told only where somebody asked for it.
DOCUSIGN_REVOKE = read_flag(env, "DOCUSIGN_REVOKE", default=DOCUSIGN_ENVIRONMENT == "simulator")
CONSOLE_ACCOUNTS = [account.strip().lower() for account in env.list("CONSOLE_ACCOUNTS", default=[])]
CONNECT_HMAC_KEYS = env.list("CONNECT_HMAC_KEYS", default=[])
CONNECT_MAX_BODY_BYTES = read_setting(env.int, "CONNECT_MAX_BODY_BYTES", default=1_048_576)
# A Docusign user who reads the mirror by JWT grant: the user's id, and the RSA key as PEM text or the path of its file.
DOCUSIGN_SERVICE_USER = env.str("DOCUSIGN_SERVICE_USER", default="")
DOCUSIGN_SERVICE_KEY = env.str("DOCUSIGN_SERVICE_KEY", default="")
IS_SIMULATED = DOCUSIGN_ENVIRONMENT == "simulator"
SYNC_INTERVAL_SECONDS = read_setting(env.int, "SYNC_INTERVAL_SECONDS", default=10 if IS_SIMULATED else 900)
FULL_SYNC_INTERVAL_SECONDS = read_setting(env.int, "FULL_SYNC_INTERVAL_SECONDS", default=86_400)
APPROVAL_HOURS = read_setting(env.int, "APPROVAL_HOURS", default=24)
# A cancel cannot be taken back, so it waits this long before it is sent.
UNDO_SECONDS = read_setting(env.int, "UNDO_SECONDS", default=10)
BATCH_RATE_PER_SECOND = read_setting(env.float, "BATCH_RATE_PER_SECOND", default=5.0 if IS_SIMULATED else 0.5)
BATCH_MAX_ROWS = read_setting(env.int, "BATCH_MAX_ROWS", default=10_000)
# The head of the audit chain is written there each hour, besides to the log; older entries are purged behind a checkpoint.
AUDIT_ANCHOR_FILE = env.str("AUDIT_ANCHOR_FILE", default="")
AUDIT_RETENTION_DAYS = read_setting(env.int, "AUDIT_RETENTION_DAYS", default=730)
# Inputs may be personal data, and are kept here no longer than this after an instance ended, unless its workflow says otherwise.
INPUT_RETENTION_DAYS = read_setting(env.int, "INPUT_RETENTION_DAYS", default=90)
# Who may read /metrics: addresses or networks, or whoever brings the token; with neither it is not there.
METRICS_ALLOWED = read_proxies(env, "METRICS_ALLOWED")
METRICS_TOKEN = env.str("METRICS_TOKEN", default="")
# Where the web processes of this machine count requests together; best in memory, such as under /run.
METRICS_DIR = env.str("METRICS_DIR", default="")
SENTRY_DSN = env.str("SENTRY_DSN", default="")
LOG_LEVEL = env.str("LOG_LEVEL", default="INFO").upper()

# --- Stores ---------------------------------------------------------------------------------------------------------
DATABASES = {"default": read_database(env, "DATABASE_URL", default=f"sqlite:///{BASE_DIR / 'db.sqlite3'}")}
if DATABASES["default"]["ENGINE"].endswith("sqlite3"):
    # Writers queue instead of failing (IMMEDIATE), readers never wait (WAL), and an intent survives a power cut (FULL).
    DATABASES["default"]["OPTIONS"] = {
        "transaction_mode": "IMMEDIATE",
        "timeout": 5,  # then the person is told, while the thread is free for somebody else (D-3)
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON; "
        "PRAGMA cache_size=-16000;",  # 16 MB of pages a connection: sorting a large list reads the same ones again
    }
else:
    DATABASES["default"]["ENGINE"] = "dashboard.postgresql"
    DATABASES["default"]["OPTIONS"] = DATABASES["default"].get("OPTIONS", {}) | postgres_options(sys.argv)
    # A connection that the server ended meanwhile is replaced, not reported.
    DATABASES["default"]["CONN_HEALTH_CHECKS"] = True
# SQLite reads what the worker found out about the tables when a connection opens.
DATABASES["default"]["CONN_MAX_AGE"] = 3600
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
QUEUE_URL = env.str("QUEUE_URL", default=f"sqlite:///{BASE_DIR / 'queue.sqlite3'}")
CACHE_URL = env.str("CACHE_URL", default="")
CACHES = caches(CACHE_URL)
# In the database an open tab is answered by one query, and nothing that happens to a Redis signs anybody out.
SESSION_STORE = env.str("SESSION_STORE", default="database")
SESSION_ENGINE = "dashboard.cached_sessions" if SESSION_STORE == "cache" else "django.contrib.sessions.backends.db"
SESSION_CACHE_ALIAS = "sessions"
TASKS = {"default": {"BACKEND": queue_backend(QUEUE_URL), "QUEUES": [], "OPTIONS": {"url": QUEUE_URL}}}

# --- The application ------------------------------------------------------------------------------------------------
INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "django_htmx",
    "django_tasks",
    "heroicons",
    "csp",
    "dashboard",
]
MIDDLEWARE = [
    "dashboard.middleware.RequestFactsMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "dashboard.middleware.PollMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    # Pads each answer at random, so that its length betrays no secret in it (BREACH).
    "django.middleware.gzip.GZipMiddleware",
    "csp.middleware.CSPMiddleware",
    "dashboard.middleware.HookMiddleware",
    "dashboard.middleware.SizeMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "dashboard.session_ends.SessionEndMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "dashboard.middleware.ToastMiddleware",
    "dashboard.middleware.DomainErrorMiddleware",
    "dashboard.limiting.LimitMiddleware",
    "dashboard.middleware.PersonMiddleware",
]
ROOT_URLCONF = "dashboard.urls"
WSGI_APPLICATION = "dashboard.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "OPTIONS": {
            "loaders": [
                (
                    "django.template.loaders.cached.Loader",
                    [
                        "django.template.loaders.filesystem.Loader",
                        "django.template.loaders.app_directories.Loader",
                    ],
                )
            ],
            "builtins": [
                "dashboard.templatetags.console",
                "django.templatetags.static",
                "heroicons.templatetags.heroicons",
            ],
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.messages.context_processors.messages",
                "dashboard.context_processors.console",
            ],
        },
    }
]
AUTH_USER_MODEL = "dashboard.User"
AUTHENTICATION_BACKENDS = ["dashboard.authentication.DocusignBackend"]
LOGIN_URL = "signin"

LANGUAGE_CODE = "en"
USE_I18N = False
USE_TZ = True
TIME_ZONE = "UTC"

STATIC_URL = "/static/"
STATIC_ROOT = BASE_DIR / "staticfiles"
STATICFILES_DIRS = [BASE_DIR / "static"]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
}

# --- Security -------------------------------------------------------------------------------------------------------
# Plain http is only for a console on loopback beside the simulator; everything else is TLS with bound cookies.
IS_TLS = not (IS_SIMULATED and urlsplit(DOCUSIGN_REDIRECT_URI).scheme == "http")
SECURE_SSL_REDIRECT = False  # the proxy in front redirects; health checks reach the process in plain http
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if IS_TLS else None
SECURE_HSTS_SECONDS = 31_536_000 if IS_TLS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = IS_TLS
SECURE_HSTS_PRELOAD = False
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
SESSION_COOKIE_NAME = "__Host-session" if IS_TLS else "session"
SESSION_COOKIE_SECURE = IS_TLS
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
# Without activity, and whatever happens (S-8).
SESSION_IDLE_MINUTES = read_setting(env.int, "SESSION_IDLE_MINUTES", default=60)
SESSION_HOURS = read_setting(env.int, "SESSION_HOURS", default=12)
SESSION_COOKIE_AGE = SESSION_HOURS * 3600
CSRF_COOKIE_NAME = "__Host-csrf" if IS_TLS else "csrf"
CSRF_COOKIE_SECURE = IS_TLS
CSRF_COOKIE_HTTPONLY = True
CSRF_COOKIE_SAMESITE = "Lax"
THEME_COOKIE_NAME = "__Host-theme" if IS_TLS else "theme"
# Whose word on the client's address counts, and how often one person or address may do a thing (S-16).
TRUSTED_PROXIES = read_proxies(env, "TRUSTED_PROXIES")
RATE_LIMITS = read_limits(env, "RATE_LIMITS")
CSRF_FAILURE_VIEW = "dashboard.views.problems.csrf_failure"
MESSAGE_STORAGE = "django.contrib.messages.storage.session.SessionStorage"
DATA_UPLOAD_MAX_MEMORY_SIZE = 2_621_440
DATA_UPLOAD_MAX_NUMBER_FIELDS = 1_000
DATA_UPLOAD_MAX_NUMBER_FILES = 1
FILE_UPLOAD_HANDLERS = ["dashboard.uploads.MemoryUpload"]

# W008: the proxy in front redirects. W021: preloading a domain is its owner's decision, not ours.
SILENCED_SYSTEM_CHECKS = ["security.W008", "security.W021"]

CSP_AUTHORIZATION_SERVERS = {
    "demo": "https://account-d.docusign.com",
    "production": "https://account.docusign.com",
    "simulator": "{0.scheme}://{0.netloc}".format(urlsplit(DOCUSIGN_SIMULATOR_URL)),
}
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF],
        "style-src": [SELF],
        "img-src": [SELF, "data:"],
        "font-src": [SELF],
        "connect-src": [SELF],
        # Sign-in is a POST that is redirected to the authorization server.
        "form-action": [SELF, CSP_AUTHORIZATION_SERVERS.get(DOCUSIGN_ENVIRONMENT, SELF)],
        "frame-ancestors": [NONE],
        "base-uri": [NONE],
        "object-src": [NONE],
    }
}

# --- Logs -----------------------------------------------------------------------------------------------------------
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"()": "dashboard.logs.formatter"}},
    "filters": {"queue_away": {"()": "dashboard.logs.QueueAway"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line", "filters": ["queue_away"]}},
    # urllib3 writes query strings at DEBUG, and these hold codes and tokens.
    # The audit's head belongs into the log at any LOG_LEVEL.
    "loggers": {"urllib3": {"level": "INFO"}, "dashboard.services.audit_anchors": {"level": "INFO"}},
    "root": {
        "handlers": ["console"],
        "level": LOG_LEVEL if LOG_LEVEL in {"DEBUG", "INFO", "WARNING", "ERROR"} else "INFO",
    },
}
start_reports(SENTRY_DSN, DOCUSIGN_ENVIRONMENT)
