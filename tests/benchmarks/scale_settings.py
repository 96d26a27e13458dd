"""Settings of the large database: the product's, with Django's own admin beside it as a peer to be compared with."""

from tests.settings import *  # noqa: F403  # the peer is added to exactly what the tests run with

INSTALLED_APPS = [*INSTALLED_APPS, "django.contrib.admin"]  # noqa: F405  # from the line above
SILENCED_SYSTEM_CHECKS = [*SILENCED_SYSTEM_CHECKS, "admin.E403", "admin.E408", "admin.E409", "admin.E410"]  # noqa: F405  # as above
