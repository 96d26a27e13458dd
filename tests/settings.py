"""Settings of the test run: the product's own settings over a fixed, harmless environment."""

import os

os.environ.update(
    {
        "DJANGO_SECRET_KEY": "tests-only-secret-key-that-is-long-enough-to-pass-the-start-checks",
        "TOKEN_KEYS": "dGVzdHMtb25seS10b2tlbi1rZXktMzItYnl0ZXMhISE=",
        "DOCUSIGN_ENVIRONMENT": "simulator",
        "DOCUSIGN_CLIENT_ID": "0c5e7a94-2b61-4d3f-9e8a-5f1c6b7d2a10",
        "DOCUSIGN_CLIENT_SECRET": "5b8f0e3d-7c42-4a96-b1d5-e60a9f2c8d77",
        "DOCUSIGN_REDIRECT_URI": "http://testserver/oauth/callback/",
        "DOCUSIGN_SIMULATOR_URL": "http://127.0.0.1:9000",
        "DJANGO_ALLOWED_HOSTS": "testserver,127.0.0.1,localhost",
        "RATE_LIMITS": "off",
    }
)

from dashboard.settings import *  # noqa: F403  # the environment must be set before the settings read it
from dashboard.settings import DATABASES as PRODUCT_DATABASES

if (product := PRODUCT_DATABASES["default"])["ENGINE"] == "dashboard.postgresql":
    # On a busy machine a test's session may wait for longer than a web process lets others wait; the later word counts.
    patience = "-c statement_timeout=60s -c lock_timeout=50s -c idle_in_transaction_session_timeout=120s"
    options = product["OPTIONS"] | {"options": f"{product['OPTIONS']['options']} {patience}"}
    DATABASES = {"default": product | {"OPTIONS": options}}

STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
TASKS = {"default": {"BACKEND": "django_tasks.backends.dummy.DummyBackend"}}
WHITENOISE_AUTOREFRESH = True  # the tests have no collected files
