#!/usr/bin/env python
"""The one door to every command of the console."""

import os
import sys

from django.core.exceptions import ImproperlyConfigured
from django.core.management import execute_from_command_line

from dashboard.checks import refuse_bad_settings


def main() -> None:
    """Run a command; bad settings end it with a line each instead of a traceback."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "dashboard.settings")
    try:
        refuse_bad_settings(sys.argv)
        execute_from_command_line(sys.argv)
    except ImproperlyConfigured as error:
        sys.exit(f"Settings: {error}")


if __name__ == "__main__":
    main()
