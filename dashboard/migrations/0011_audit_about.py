from django.db import migrations, models


class Migration(migrations.Migration):
    """A person's own entries, and those about one workflow or one operation, are found among a million within a second (A-6)."""

    dependencies = [("dashboard", "0010_started_step")]

    operations = [
        migrations.AddIndex(
            model_name="auditentry",
            index=models.Index(fields=["account_id", "workflow_id", "-seq"], name="audit_workflow"),
        ),
        migrations.AddIndex(
            model_name="auditentry",
            index=models.Index(fields=["account_id", "operation_id", "-seq"], name="audit_operation"),
        ),
        migrations.AddIndex(
            model_name="auditentry",
            index=models.Index(fields=["account_id", "actor_sub", "-seq"], name="audit_own"),
        ),
        migrations.AddIndex(
            model_name="auditentry",
            index=models.Index(fields=["account_id", "started_by", "-seq"], name="audit_own_instances"),
        ),
        migrations.AddIndex(
            model_name="auditentry",
            index=models.Index(fields=["account_id", "object_type", "-seq"], name="audit_type"),
        ),
    ]
