"""Settings of the test run: the product's own settings over a fixed, harmless environment."""

import os

os.environ.update(
    {
        "DJANGO_SECRET_KEY": "tests-only-secret-key-that-is-long-enough-to-pass-the-start-checks",
        "TOKEN_KEYS": "dGVzdHMtb25seS10b2tlbi1rZXktMzItYnl0ZXMhISE=",
        "DOCUSIGN_ENVIRONMENT": "simulator",
        "DOCUSIGN_CLIENT_ID": "0f6f6f0a-7b34-4c0e-8d2c-5d3f7c1f2a10",
        "DOCUSIGN_CLIENT_SECRET": "simulator-secret",
        "DOCUSIGN_REDIRECT_URI": "http://testserver/oauth/callback/",
        "DOCUSIGN_SIMULATOR_URL": "http://127.0.0.1:9000",
        "DJANGO_ALLOWED_HOSTS": "testserver,127.0.0.1,localhost",
    }
)

from dashboard.settings import *  # noqa: E402, F403  # the environment must be set before the settings read it

STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
TASKS = {"default": {"BACKEND": "django_tasks.backends.dummy.DummyBackend"}}
