from django.db import migrations, models

import dashboard.facts


class Migration(migrations.Migration):
    """The id of the request or job that made a deed; the release before this one leaves it to the database, which writes ''."""

    dependencies = [("dashboard", "0008_keeping")]

    operations = [
        migrations.AddField(
            model_name="operation",
            name="request_id",
            field=models.CharField(
                blank=True,
                db_default="",
                default=dashboard.facts.current_request_id,
                help_text="Of the request or job that made it.",
                max_length=64,
            ),
        ),
    ]
