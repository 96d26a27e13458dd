"""`manage.py create_hook`: the address of an account's receiver, from the server."""

from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from dashboard.models import Account, AuditEntry, Hook
from dashboard.services import hooks
from maestro_api.simulator import MAIN_ACCOUNT_ID
from tests.connect_events import status_of_sent
from tests.processes import RunningConsole, wait_until

KEY = "a key of thirty-two characters, ok"


@pytest.mark.django_db
def test_the_address_is_made_once_and_printed(account: Account, settings: Any) -> None:
    settings.CONNECT_HMAC_KEYS = [KEY]
    out, err = StringIO(), StringIO()
    for _ in range(2):
        call_command("create_hook", str(account.pk).upper(), stdout=out, stderr=err)
    hook = Hook.objects.get()
    assert out.getvalue().split() == [f"http://testserver/hooks/docusign/{hook.token}/"] * 2
    assert err.getvalue() == ""
    assert [entry.action for entry in AuditEntry.objects.all()] == ["connect.created"]
    assert hooks.find_hook(hook.token) == hook


@pytest.mark.django_db
def test_without_a_key_the_command_says_so(account: Account) -> None:
    err = StringIO()
    call_command("create_hook", str(account.pk), stdout=StringIO(), stderr=err)
    assert "There is no key yet" in err.getvalue()


@pytest.mark.django_db
@pytest.mark.parametrize("wanted", ["11111111-5a0e-4c1b-9a52-3f0f6a7c1d01", "nonsense"])
def test_an_account_that_is_not_served_gets_none(wanted: str, account: Account) -> None:
    with pytest.raises(CommandError, match="does not serve"):
        call_command("create_hook", wanted)
    assert not Hook.objects.exists()


@pytest.mark.processes
@pytest.mark.timeout(600)
def test_in_the_demo_an_event_changes_its_row_within_seconds() -> None:
    """W-4: the simulator's event reaches the mirror although the next reading is far away."""
    with RunningConsole("--instances=40", "--workflows=3", env={"SYNC_INTERVAL_SECONDS": "3600"}) as demo:
        demo.sign_in("Ada Admin")
        query = "select id from dashboard_instance where status = 'in_progress' and account_id = ? order by id limit 1"
        main = MAIN_ACCOUNT_ID.replace("-", "")
        (chosen,) = wait_until("the mirror is filled", lambda: demo.query(query, main), seconds=90)[0]
        name = f"{chosen[:8]}-{chosen[8:12]}-{chosen[12:16]}-{chosen[16:20]}-{chosen[20:]}"
        wait_until(
            "the reading has ended",
            lambda: demo.query("select 1 from dashboard_membership where synced_at > ''"),
            seconds=90,
        )
        demo.control("POST", f"/instances/{name}", {"workflow_status": "Completed"})
        assert status_of_sent(demo, {"instance_id": name, "event": "workflow-completed"}) == 204
        # It may also have ended by itself a moment ago; either way its own reading is what an event brings about.
        wait_until(
            "the row shows it",
            lambda: demo.query(
                "select 1 from dashboard_instance where id = ? and status <> 'in_progress' and read_at > ''", chosen
            ),
            seconds=90,
        )
        delivered = "select state, key_label from dashboard_delivery where instance_id = ?"
        applied = ("applied", "CONNECT_HMAC_KEYS, key 1")
        assert wait_until("the event is done with", lambda: applied in demo.query(delivered, chosen), seconds=90)
