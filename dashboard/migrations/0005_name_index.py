"""Let the database itself keep the index over the names of instances."""

from django.db import migrations

from dashboard import name_index


def install(apps, schema_editor):
    name_index.install(schema_editor.connection)


def remove(apps, schema_editor):
    name_index.remove(schema_editor.connection)


class Migration(migrations.Migration):
    dependencies = [("dashboard", "0004_findable")]
    operations = [migrations.RunPython(install, remove)]
