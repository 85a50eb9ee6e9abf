"""Job: the truth about work in the background. The broker only hints; a row's lease says who works on it."""

import uuid

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _


class JobKind(models.TextChoices):
    GENERATE = "generate", _("Generate")
    IMPORT_PROBLEMS = "import_problems", _("Import problems")
    IMPORT_TRACES = "import_traces", _("Import traces")
    VERIFY = "verify", _("Verify")
    SELECT = "select", _("Select")
    EXPORT = "export", _("Export")
    REPLAY = "replay", _("Replay")


class JobState(models.TextChoices):
    QUEUED = "queued", _("waiting")
    RUNNING = "running", _("running")
    DONE = "done", _("done")
    FAILED = "failed", _("failed")
    CANCELLED = "cancelled", _("cancelled")


FINISHED_STATES = (JobState.DONE, JobState.FAILED, JobState.CANCELLED)


class Job(models.Model):
    """One piece of work. `lease_token` and `lease_until` name the process that holds it and how long it may be silent."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    kind = models.CharField(max_length=32, choices=JobKind.choices)
    queue = models.CharField(max_length=32, default="default")
    state = models.CharField(max_length=16, choices=JobState.choices, default=JobState.QUEUED)
    title = models.CharField(max_length=200)
    args = models.JSONField(default=dict)  # ids and settings; never secrets
    result = models.JSONField(default=dict)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="jobs")
    created_at = models.DateTimeField()
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    due_at = models.DateTimeField()  # when a message about it should be sent (again)
    lease_token = models.UUIDField(null=True, blank=True)
    lease_until = models.DateTimeField(null=True, blank=True)
    attempts = models.PositiveIntegerField(default=0)  # claims that ended without handing over in order
    max_attempts = models.PositiveIntegerField(default=3)
    progress_done = models.PositiveBigIntegerField(default=0)
    progress_total = models.PositiveBigIntegerField(null=True, blank=True)
    progress_unit = models.CharField(max_length=32, default="")
    message = models.TextField(default="")  # what it is doing, or why it ended as it did
    cancel_requested = models.BooleanField(default=False)

    class Meta:
        indexes = [
            models.Index(fields=["state", "due_at"], name="job_due"),  # the reaper's question
            models.Index(fields=["-created_at"], name="job_newest"),
        ]
        constraints = [
            models.CheckConstraint(condition=models.Q(state__in=JobState.values), name="job_state_known"),
            models.CheckConstraint(
                condition=models.Q(state="running", lease_token__isnull=False) | ~models.Q(state="running"),
                name="job_running_has_lease",
            ),
        ]

    def __str__(self) -> str:
        return self.title

    @property
    def is_finished(self) -> bool:
        return self.state in FINISHED_STATES

    @property
    def fraction(self) -> float | None:
        """Progress in 0..1, or None while the total is unknown."""
        return min(1.0, self.progress_done / self.progress_total) if self.progress_total else None
