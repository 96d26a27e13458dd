"""What may be purged and erased: audit entries behind a checkpoint, inputs of instances that ended."""

from django.db import migrations, models

from dashboard import append_only


def install(apps, schema_editor):
    append_only.remove(schema_editor.connection)
    append_only.install(schema_editor.connection)


def remove(apps, schema_editor):
    append_only.remove(schema_editor.connection)
    append_only.install(schema_editor.connection, has_checkpoints=False)


class Migration(migrations.Migration):
    dependencies = [("dashboard", "0007_guard_rails")]

    operations = [
        migrations.CreateModel(
            name="AuditCheckpoint",
            fields=[
                (
                    "seq",
                    models.PositiveBigIntegerField(
                        help_text="Of the last entry that was purged.", primary_key=True, serialize=False
                    ),
                ),
                ("hash", models.CharField(help_text="Of that entry; the next one names it.", max_length=64)),
                ("purged", models.PositiveBigIntegerField(help_text="How many entries went with it.")),
                ("first_at", models.DateTimeField()),
                ("last_at", models.DateTimeField()),
                ("made_at", models.DateTimeField()),
                ("signature", models.CharField(max_length=64)),
            ],
        ),
        migrations.AddField(
            model_name="workflow",
            name="inputs_kept_days",
            field=models.PositiveIntegerField(
                help_text="How long inputs are kept here after an instance ended; None for the console's usual.", null=True
            ),
        ),
        migrations.AddField(
            model_name="workflow",
            name="inputs_erased_to",
            field=models.DateTimeField(help_text="What ended before has been gone through.", null=True),
        ),
        migrations.AddField(
            model_name="instance",
            name="inputs_erased_at",
            field=models.DateTimeField(help_text="Since then they are not taken over from Docusign again.", null=True),
        ),
        migrations.RunPython(install, remove),
    ]
