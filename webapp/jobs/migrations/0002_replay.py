from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("jobs", "0001_initial"),
    ]

    operations = [
        migrations.AlterField(
            model_name="job",
            name="kind",
            field=models.CharField(
                choices=[
                    ("generate", "Generate"),
                    ("import_problems", "Import problems"),
                    ("import_traces", "Import traces"),
                    ("verify", "Verify"),
                    ("select", "Select"),
                    ("export", "Export"),
                    ("replay", "Replay"),
                ],
                max_length=32,
            ),
        ),
    ]
