"""Let the database itself refuse to change or delete audit entries."""

from django.db import migrations

from dashboard import append_only


def install(apps, schema_editor):
    append_only.install(schema_editor.connection, has_checkpoints=False)


def remove(apps, schema_editor):
    append_only.remove(schema_editor.connection)


class Migration(migrations.Migration):
    dependencies = [("dashboard", "0001_initial")]
    operations = [migrations.RunPython(install, remove)]
