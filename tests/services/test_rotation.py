"""O-11: keys are replaced without losing a secret."""

import base64
from collections.abc import Callable
from io import StringIO
from typing import Any

import pytest
from django.apps import apps
from django.core.management import CommandError, call_command

from dashboard import crypto
from dashboard.models import Connection, Membership
from dashboard.services import rotation, tokens
from dashboard.services.triggers import url_place
from tests.factories import InstanceFactory

pytestmark = pytest.mark.django_db
NEW = base64.b64encode(b"a newer key of thirty-two bytes!").decode()


def test_every_sealed_column_is_rotated() -> None:
    listed = {(model.__name__, column) for model, column, _ in rotation.SEALED}
    there = {
        (model.__name__, field.name)
        for model in apps.get_app_config("dashboard").get_models()
        for field in model._meta.get_fields()
        if field.name.startswith("sealed_")
    }
    assert listed == there


def test_after_rotation_the_old_key_may_go(connect: Callable[..., Membership], settings: Any) -> None:
    """O-11: counts before and after, then everything opens with the new key alone."""
    connection = connect("Ada Admin").user.connection
    token = tokens.access_token(connection)
    instance = InstanceFactory(account=connection.user.memberships.get().account)
    instance.sealed_url = crypto.seal("https://example.com/link", *url_place(instance.pk))
    instance.save()
    old = crypto.newest_key_id()
    settings.TOKEN_KEYS = [NEW, *settings.TOKEN_KEYS]
    out = StringIO()
    call_command("rotate_key", stdout=out)
    assert out.getvalue() == f"Before: key {old}: 3\nAfter:  key {crypto.newest_key_id()}: 3\n"
    settings.TOKEN_KEYS = [NEW]
    assert tokens.access_token(connection) == token
    instance.refresh_from_db()
    assert crypto.unseal(instance.sealed_url, *url_place(instance.pk)) == "https://example.com/link"


def test_a_second_run_changes_nothing(connect: Callable[..., Membership]) -> None:
    connection = connect("Ada Admin").user.connection
    rotation.rotate()
    sealed = Connection.objects.get().sealed_access_token
    rotation.rotate()
    assert Connection.objects.get().sealed_access_token == sealed
    assert connection.sealed_access_token == sealed


def test_a_secret_that_does_not_open_is_named_and_ends_the_command_badly(
    connect: Callable[..., Membership], settings: Any
) -> None:
    connect("Ada Admin")
    settings.TOKEN_KEYS = [NEW]
    with pytest.raises(CommandError, match="2 secrets do not open"):
        call_command("rotate_key", stdout=StringIO())


def test_a_new_setup_code_is_printed_only_while_nothing_is_served(settings: Any) -> None:
    settings.CONSOLE_ACCOUNTS = []
    out = StringIO()
    call_command("setup_code", stdout=out)
    assert "Setup code: " in out.getvalue()
    settings.CONSOLE_ACCOUNTS = ["6f1d2c1a-5a0e-4c1b-9a52-3f0f6a7c1d01"]
    with pytest.raises(CommandError, match="nothing to claim"):
        call_command("setup_code")
