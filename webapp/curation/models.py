"""Label, SavedFilter, Selection, Dataset, Export: what people think of traces and what is drawn from them.

Labels and candidates are only added; a dataset version never changes and carries the hash of its rows.
"""

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from webapp.jobs.models import Job
from webapp.traces.models import LabelValue, Run, Trace


class Label(models.Model):
    """What one person said of one trace at one time. A change is a new row."""

    trace = models.ForeignKey(Trace, on_delete=models.CASCADE, related_name="labels")
    value = models.CharField(max_length=16, choices=LabelValue.choices)
    rating = models.PositiveSmallIntegerField(null=True, blank=True)  # 1..5
    tags = models.TextField(default="", blank=True)  # canonical form of webapp.tags
    note = models.TextField(default="", blank=True)
    created_at = models.DateTimeField()
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="labels")

    class Meta:
        indexes = [models.Index(fields=["trace", "-created_at"], name="label_newest")]
        constraints = [
            models.CheckConstraint(condition=models.Q(value__in=LabelValue.values), name="label_value_known"),
            models.CheckConstraint(
                condition=models.Q(rating__isnull=True) | models.Q(rating__range=(1, 5)), name="label_rating_1_to_5"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.value} by {self.created_by_id}"


class SavedFilter(models.Model):
    """A trace list's address under a name."""

    name = models.CharField(max_length=120, unique=True)
    query = models.TextField()  # the query string
    created_at = models.DateTimeField()
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")

    def __str__(self) -> str:
        return self.name


class Selection(models.Model):
    """A recipe run over runs. `funnel` is [{"step", "problems", "traces"}] in order, so each number can be checked."""

    name = models.CharField(max_length=200, unique=True)
    recipe = models.JSONField()  # validated by workers.rejection; carries its own schema version
    runs = models.ManyToManyField(Run, related_name="selections")
    funnel = models.JSONField(default=list)
    job = models.ForeignKey(Job, null=True, on_delete=models.SET_NULL, related_name="selections")
    created_at = models.DateTimeField()
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")

    def __str__(self) -> str:
        return self.name


class Fate(models.TextChoices):
    KEPT = "kept", _("kept")
    REJECTED = "rejected", _("rejected")


class Candidate(models.Model):
    """One trace in one selection: its fate and the rule that decided it."""

    selection = models.ForeignKey(Selection, on_delete=models.CASCADE, related_name="candidates")
    trace = models.ForeignKey(Trace, on_delete=models.CASCADE, related_name="candidates")
    fate = models.CharField(max_length=16, choices=Fate.choices)
    rule = models.CharField(max_length=64)  # the deciding rule's name, e.g. "only_correct", "k_per_problem", "kept"
    detail = models.CharField(max_length=300, default="", blank=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["selection", "trace"], name="candidate_once")]
        indexes = [models.Index(fields=["selection", "fate", "rule"], name="candidate_by_fate")]

    def __str__(self) -> str:
        return f"{self.fate}: {self.rule}"


class Dataset(models.Model):
    name = models.CharField(max_length=200, unique=True)
    description = models.TextField(default="", blank=True)
    created_at = models.DateTimeField()
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")

    def __str__(self) -> str:
        return self.name


class DatasetVersion(models.Model):
    """Frozen rows (Parquet in the store, written once) with their hash and manifest."""

    dataset = models.ForeignKey(Dataset, on_delete=models.PROTECT, related_name="versions")
    number = models.PositiveIntegerField()
    selection = models.ForeignKey(Selection, null=True, on_delete=models.PROTECT, related_name="versions")
    rows_path = models.CharField(max_length=500)  # in the store
    row_count = models.PositiveIntegerField()
    content_hash = models.CharField(max_length=64)
    manifest = models.JSONField()
    created_at = models.DateTimeField()
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["dataset", "number"], name="dataset_version_once")]

    def __str__(self) -> str:
        return f"{self.dataset} v{self.number}"


class ExportFormat(models.TextChoices):
    """What is written; the names are those of `workers.formats`."""

    SFT_MESSAGES_JSONL = "sft-messages-jsonl", _("SFT messages, JSONL")
    SFT_MESSAGES_PARQUET = "sft-messages-parquet", _("SFT messages, Parquet")
    COLD_START_JSONL = "cold-start-jsonl", _("cold start with think (R1 form), JSONL")
    COLD_START_PARQUET = "cold-start-parquet", _("cold start with think (R1 form), Parquet")


class Export(models.Model):
    """A dataset version written in a trainer's format, with manifest and card beside the rows."""

    version = models.ForeignKey(DatasetVersion, on_delete=models.CASCADE, related_name="exports")
    format = models.CharField(max_length=64, choices=ExportFormat.choices)
    path = models.CharField(max_length=500, default="", blank=True)  # folder in the store; empty until written whole
    files = models.JSONField(default=list)  # [{"name", "bytes", "sha256"}]
    job = models.ForeignKey(Job, null=True, on_delete=models.SET_NULL, related_name="exports")
    created_at = models.DateTimeField()
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")

    def __str__(self) -> str:
        return f"{self.version} as {self.format}"
