"""D-6: what the version before writes is taken by the tables of this one, so workers of both may run during an upgrade."""

from collections.abc import Iterator

import pytest
from django.apps import apps
from django.db import connection, models
from django.db.migrations import Migration
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.operations import (
    AddConstraint,
    CreateModel,
    DeleteModel,
    RemoveField,
    RenameField,
    RenameModel,
    RunPython,
)
from django.db.migrations.recorder import MigrationRecorder

BEFORE = "0006_bulk"  # the last migration of the release before; to be moved on with each release


@pytest.fixture(scope="module")
def loader() -> MigrationLoader:
    return MigrationLoader(None)


def added_since(loader: MigrationLoader) -> Iterator[object]:
    """The operations of the migrations after the release before."""
    names = sorted(name for app, name in loader.disk_migrations if app == "dashboard")
    for name in names[names.index(BEFORE) + 1 :]:
        yield from loader.disk_migrations["dashboard", name].operations


def old_tables(loader: MigrationLoader) -> dict[str, dict[str, models.Field]]:
    """Table by table the columns that the version before knows."""
    state = loader.project_state(("dashboard", BEFORE))
    found = {}
    for model in state.apps.get_app_config("dashboard").get_models():
        found[model._meta.db_table] = {field.column: field for field in model._meta.concrete_fields}
    return found


def new_tables() -> dict[str, dict[str, models.Field]]:
    config = apps.get_app_config("dashboard")
    return {m._meta.db_table: {f.column: f for f in m._meta.concrete_fields} for m in config.get_models()}


def test_nothing_that_the_version_before_reads_or_writes_is_gone(loader: MigrationLoader) -> None:
    """D-6: a removal or a new name takes two releases."""
    taking = (DeleteModel, RemoveField, RenameField, RenameModel)
    assert [str(each) for each in added_since(loader) if isinstance(each, taking)] == []
    present = new_tables()
    gone = {table: set(columns) - set(present[table]) for table, columns in old_tables(loader).items()}
    assert {table: columns for table, columns in gone.items() if columns} == {}


def test_a_new_column_fills_itself_where_the_version_before_leaves_it_out(loader: MigrationLoader) -> None:
    """D-6: null, or a default of the database; Django's own default is known to new code only."""
    present = new_tables()
    demanding = [
        f"{table}.{column}"
        for table, columns in old_tables(loader).items()
        for column, field in present[table].items()
        if column not in columns and not (field.null or field.has_db_default())
    ]
    assert demanding == []


def test_no_column_takes_less_than_before(loader: MigrationLoader) -> None:
    """D-6: what the version before may write still fits."""
    present = new_tables()
    narrower = [
        f"{table}.{column}"
        for table, columns in old_tables(loader).items()
        for column, old in columns.items()
        for new in (present[table][column],)
        if (old.null and not new.null)
        or (old.max_length or 0) > (new.max_length or old.max_length or 0)
        or old.get_internal_type() != new.get_internal_type()
        or (new.unique and not old.unique)
    ]
    assert narrower == []


def test_no_rule_is_laid_on_columns_that_the_version_before_writes(loader: MigrationLoader) -> None:
    """D-6: a new constraint would refuse its rows; one on new columns alone is met by what fills itself."""
    known = {column for columns in old_tables(loader).values() for column in columns}
    strict = [
        str(each)
        for each in added_since(loader)
        if isinstance(each, AddConstraint)
        and (not isinstance(each.constraint, models.UniqueConstraint) or set(each.constraint.fields) <= known)
    ]
    assert strict == []


@pytest.mark.django_db
def test_rows_as_the_version_before_writes_them_are_taken(loader: MigrationLoader) -> None:
    """D-6: with the models of that version, into the tables of this one."""
    old = loader.project_state(("dashboard", BEFORE)).apps
    account = old.get_model("dashboard", "Account").objects.create(
        id="6f1d2c1a-5a0e-4c1b-9a52-3f0f6a7c1d01", environment="simulator", name="Example"
    )
    user = old.get_model("dashboard", "User").objects.create(environment="simulator", sub="somebody", name="Ada")
    old.get_model("dashboard", "Membership").objects.create(user=user, account=account)
    workflow = old.get_model("dashboard", "Workflow").objects.create(
        id="7f1d2c1a-5a0e-4c1b-9a52-3f0f6a7c1d01", account=account
    )
    operation = old.get_model("dashboard", "Operation").objects.create(
        key="one", kind="trigger", account=account, actor=user, workflow=workflow
    )
    old.get_model("dashboard", "Batch").objects.create(
        key="two", account=account, actor=user, kind="trigger", source="sheet", name="rows", workflow=workflow
    )
    old.get_model("dashboard", "Operation").objects.filter(pk=operation.pk).update(state="sent")
    current = apps.get_model("dashboard", "Operation").objects.get(pk=operation.pk)
    assert (current.state, current.workflow.inputs_kept_days) == ("sent", None)


@pytest.mark.django_db(transaction=True)
def test_a_migration_that_breaks_off_leaves_nothing_behind(loader: MigrationLoader) -> None:
    """D-6: half of an upgrade is none, so the same command goes on with it."""

    def power_cut(*_: object) -> None:
        raise OSError("The disk went away.")

    broken = Migration("9999_broken", "dashboard")
    half = CreateModel("Half", [("id", models.BigAutoField(primary_key=True))])
    broken.operations = [half, RunPython(power_cut)]
    executor = MigrationExecutor(connection)
    with pytest.raises(OSError, match="went away"):
        executor.apply_migration(executor.loader.project_state(), broken)
    assert "dashboard_half" not in connection.introspection.table_names()
    assert not any(name == "9999_broken" for _, name in MigrationRecorder(connection).applied_migrations())
