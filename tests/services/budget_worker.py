"""One process among several that call Docusign for one account; it does what its standard input says, line by line."""

import json
import sys
import time

import django

django.setup()

from django.core.management import call_command  # noqa: E402  # the settings come first
from django.db import connection as database  # noqa: E402

from dashboard.models import Account, Connection, Membership, Role, User  # noqa: E402
from dashboard.services import tokens  # noqa: E402
from dashboard.services.calls import calling  # noqa: E402
from dashboard.services.errors import DocusignUnavailable, StoreBusy  # noqa: E402
from dashboard.services.quota import Lane  # noqa: E402
from maestro_api import MaestroError, TokenGrant  # noqa: E402


def prepare(pair: dict[str, str]) -> dict[str, int]:
    call_command("migrate", verbosity=0, skip_checks=True)
    user = User.objects.create(environment="simulator", sub=pair["user_id"], name="Ada Admin")
    account = Account.objects.create(pk=pair["account_id"], environment="simulator", name="Main")
    Membership.objects.create(user=user, account=account, role=Role.ADMIN)
    tokens.store_grant(
        Connection.objects.create(user=user),
        TokenGrant(pair["access_token"], pair["refresh_token"], 28800, "signature aow_manage"),
    )
    return {}


def call(lane: Lane, until: float) -> dict[str, int]:
    """As many calls as the lane is given until then; how many were sent, held back and failed."""
    membership = Membership.objects.select_related("account", "user__connection").get()
    counts = {"sent": 0, "held": 0, "failed": 0}
    while time.time() < until:
        try:
            with calling(membership, lane=lane) as client:
                client.list_account_instances(page_size=1)
            counts["sent"] += 1
        except DocusignUnavailable:
            counts["held"] += 1
            time.sleep(0.02)
        except StoreBusy:  # a busy disk, not the budget: it is asked again
            time.sleep(0.02)
        except MaestroError:
            counts["failed"] += 1
    return counts


def main() -> None:
    # On a busy machine the others' turns at the file may take longer than a person would wait.
    database.settings_dict["OPTIONS"]["timeout"] = 60
    for line in sys.stdin:
        order = json.loads(line)
        answer = prepare(order) if "access_token" in order else call(Lane(order["lane"]), order["until"])
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
