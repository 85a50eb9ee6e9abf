"""Problem and ProblemSet: what is asked, the gold answer, how it is verified."""

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _


class Verifier(models.TextChoices):
    """How a problem's answers are checked; the names are those of `workers.verification`."""

    NONE = "none", _("none")
    MATH = "math", _("mathematics")
    EXACT = "exact", _("exact text")
    NUMERIC = "numeric", _("number")
    REASONING_GYM = "reasoning_gym", _("reasoning-gym scorer")


class ProblemSet(models.Model):
    name = models.CharField(max_length=200, unique=True)
    description = models.TextField(default="", blank=True)
    source = models.CharField(max_length=500, default="", blank=True)
    licence = models.CharField(max_length=200, default="", blank=True)
    created_at = models.DateTimeField()
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")

    def __str__(self) -> str:
        return self.name


class Problem(models.Model):
    """One question. `prompt` is what a person reads; `messages` is set when the source had a conversation."""

    problem_set = models.ForeignKey(ProblemSet, on_delete=models.CASCADE, related_name="problems")
    position = models.PositiveIntegerField()  # order in the source, from 0
    key = models.CharField(max_length=64)  # SHA-256 of prompt, messages and answer: stable across imports
    prompt = models.TextField(blank=True)  # empty where an imported trace came without its question
    messages = models.JSONField(null=True, blank=True)  # [{"role", "content"}]
    answer = models.TextField(null=True, blank=True)  # the gold answer
    verifier = models.CharField(max_length=32, choices=Verifier.choices, default=Verifier.NONE)
    verifier_args = models.JSONField(default=dict, blank=True)
    source = models.CharField(max_length=500, default="", blank=True)
    licence = models.CharField(max_length=200, default="", blank=True)
    tags = models.TextField(default="", blank=True)  # canonical form of webapp.tags
    metadata = models.JSONField(default=dict, blank=True)  # fields of the source that have no column, unchanged

    class Meta:
        constraints = [models.UniqueConstraint(fields=["problem_set", "key"], name="problem_once_per_set")]
        indexes = [models.Index(fields=["problem_set", "position"], name="problem_order")]

    def __str__(self) -> str:
        return self.prompt[:80] or f"problem {self.pk}"
