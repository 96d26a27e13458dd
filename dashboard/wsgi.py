"""The WSGI entry. It refuses to serve with bad settings, each in one clear line, and prints the setup code where one is needed."""

import gc
import os
import sys

from django.core.exceptions import ImproperlyConfigured
from django.core.wsgi import get_wsgi_application
from django.urls import get_resolver

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "dashboard.settings")

from dashboard.checks import refuse_bad_settings  # after the settings have a name

try:
    refuse_bad_settings(["wsgi", "serve"])
    application = get_wsgi_application()
except ImproperlyConfigured as error:
    sys.exit(f"Settings: {error}")

from dashboard.services.setup import announce_at_start  # the tables are known only now

if line := announce_at_start():
    sys.stderr.write(f"{line}\n")

# What is loaded by now stays until the end, so the collector of garbage need not look through it over and over, and what a request
# leaves behind is mostly freed without it.
_ = get_resolver().url_patterns
gc.collect()
gc.freeze()
gc.set_threshold(10_000, 20, 20)
