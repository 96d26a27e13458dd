"""One process among several that want the same person's token; it does what its standard input says, line by line."""

import json
import sys
from datetime import timedelta

import django

django.setup()

from django.core.management import call_command  # noqa: E402  # the settings come first
from django.db import connection as database  # noqa: E402
from django.utils import timezone  # noqa: E402

from dashboard.models import Connection, User  # noqa: E402
from dashboard.services import tokens  # noqa: E402
from dashboard.services.errors import ServiceError  # noqa: E402
from maestro_api import TokenGrant  # noqa: E402


def prepare(pair: dict[str, str]) -> str:
    call_command("migrate", verbosity=0, skip_checks=True)
    user = User.objects.create(environment="simulator", sub="a1000000-5eed-4a01-8c01-0a1b2c3d4e01", name="Ada Admin")
    connection = Connection.objects.create(user=user)
    tokens.store_grant(
        connection, TokenGrant(pair["access_token"], pair["refresh_token"], 28800, "signature aow_manage")
    )
    return "ok"


def expire() -> str:
    Connection.objects.update(access_expires_at=timezone.now() - timedelta(seconds=1))
    return "ok"


def token() -> str:
    try:
        return tokens.access_token(Connection.objects.get())
    except ServiceError as error:
        return f"failed: {error.message}"


def main() -> None:
    # On a busy machine the others' turns at the file and at the refresh may take longer than a person would wait.
    database.settings_dict["OPTIONS"]["timeout"] = 60
    tokens.WAIT_SECONDS = 60
    for line in sys.stdin:
        command, _, rest = line.strip().partition(" ")
        answer = {"prepare": lambda rest=rest: prepare(json.loads(rest)), "expire": expire, "token": token}[command]()
        sys.stdout.write(answer + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
