"""The WSGI entry. It refuses to serve with bad settings, each in one clear line."""

import os
import sys

from django.core.exceptions import ImproperlyConfigured
from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "dashboard.settings")

from dashboard.checks import refuse_bad_settings  # the name of the settings must be set before

try:
    refuse_bad_settings(["wsgi", "serve"])
    application = get_wsgi_application()
except ImproperlyConfigured as error:
    sys.exit(f"Settings: {error}")
