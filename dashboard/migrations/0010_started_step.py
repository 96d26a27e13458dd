from django.db import migrations, models


class Migration(migrations.Migration):
    """A list by progress over what started lately is answered from one index; the new one comes before the old one goes."""

    dependencies = [("dashboard", "0009_operation_request")]

    operations = [
        migrations.AddIndex(
            model_name="instance",
            index=models.Index(
                fields=["account", "started_at", "id", "sort_at", "expires_at", "last_completed_step"],
                name="inst_started_step",
            ),
        ),
        migrations.RemoveIndex(model_name="instance", name="inst_started"),
    ]
