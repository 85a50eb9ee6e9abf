"""Run, Trace, Finding, Verdict: what was sampled or imported, what is odd about it, how it was judged.

Per-token data lives outside the database in the token store (webapp/traces/tokenstore.py); a Trace holds where.
The model's text is never altered: segments and findings point into it.
"""

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from webapp.engines.models import Engine
from webapp.jobs.models import Job
from webapp.problems.models import Problem, ProblemSet


class RunKind(models.TextChoices):
    GENERATE = "generate", _("generated")
    IMPORT = "import", _("imported")


class Run(models.Model):
    """A problem set answered by an engine under one set of sampling parameters; or one imported file."""

    name = models.CharField(max_length=200, unique=True)
    kind = models.CharField(max_length=16, choices=RunKind.choices)
    problem_set = models.ForeignKey(ProblemSet, null=True, on_delete=models.PROTECT, related_name="runs")
    engine = models.ForeignKey(Engine, null=True, on_delete=models.PROTECT, related_name="runs")
    params = models.JSONField(default=dict)  # temperature, top_p, top_k, max_tokens, seed, system_prompt
    samples_per_problem = models.PositiveIntegerField(default=1)
    problem_ids = models.JSONField(null=True, blank=True)  # the problems asked, when not the whole set
    planned = models.PositiveIntegerField(default=0)  # traces expected
    source = models.JSONField(default=dict)  # of an import: file name, format, SHA-256
    report = models.JSONField(default=dict)  # of an import: design.md section 3
    job = models.ForeignKey(Job, null=True, on_delete=models.SET_NULL, related_name="runs")
    created_at = models.DateTimeField()
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")

    class Meta:
        indexes = [models.Index(fields=["-created_at"], name="run_newest")]

    def __str__(self) -> str:
        return self.name


class FinishReason(models.TextChoices):
    STOP = "stop", _("ended")
    LENGTH = "length", _("cut at the token limit")
    CANCELLED = "cancelled", _("cancelled")
    UNKNOWN = "", _("not recorded")


class VerdictValue(models.TextChoices):
    CORRECT = "correct", _("correct")
    WRONG = "wrong", _("wrong")
    UNDECIDABLE = "undecidable", _("undecidable")


class CurrentVerdict(models.TextChoices):
    """What the newest verdict of a trace says; unscored is the absence of any, not a verdict."""

    UNSCORED = "unscored", _("unscored")
    CORRECT = "correct", _("correct")
    WRONG = "wrong", _("wrong")
    UNDECIDABLE = "undecidable", _("undecidable")


class LabelValue(models.TextChoices):
    KEEP = "keep", _("keep")
    REJECT = "reject", _("reject")
    UNSURE = "unsure", _("unsure")


class Trace(models.Model):
    """One sample. The text fields are exactly what the source held (NUL and lone surrogates excepted: see ingest)."""

    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="traces")
    problem = models.ForeignKey(Problem, on_delete=models.PROTECT, related_name="traces")
    sample_index = models.PositiveIntegerField()
    fingerprint = models.CharField(
        max_length=64, null=True, blank=True
    )  # of an imported row, so that a second import adds nothing
    prompt = models.TextField(
        blank=True
    )  # exactly what the model saw, special tokens included; the question where unknown
    reasoning = models.TextField(null=True, blank=True)  # where the source kept the think in a field of its own
    completion = models.TextField(blank=True)
    finish_reason = models.CharField(
        max_length=16, choices=FinishReason.choices, default=FinishReason.UNKNOWN, blank=True
    )
    segments = models.JSONField(
        default=list
    )  # [{"kind", "field", "start", "end", "token_start", "token_end"}], see workers.parsing
    model_name = models.CharField(max_length=300, default="", blank=True)
    seed = models.BigIntegerField(null=True, blank=True)
    prompt_tokens = models.PositiveIntegerField(null=True, blank=True)
    completion_tokens = models.PositiveIntegerField(null=True, blank=True)
    think_chars = models.PositiveIntegerField(default=0)
    answer_chars = models.PositiveIntegerField(default=0)
    mean_logprob = models.FloatField(null=True, blank=True)  # nats a token, untempered
    mean_entropy = models.FloatField(null=True, blank=True)  # nats
    duration_seconds = models.FloatField(null=True, blank=True)
    provenance = models.JSONField(default=dict)  # source, repository, commit, licence, id, upstream verdict
    metadata = models.JSONField(default=dict)  # fields of the source that have no column, unchanged
    # where the per-token data is; empty path: there is none
    store_path = models.CharField(max_length=500, default="", blank=True)
    store_row_group = models.PositiveIntegerField(null=True, blank=True)  # first row group
    store_tokens = models.PositiveIntegerField(null=True, blank=True)
    # the newest verdict and label, kept by the actions that add them, so that lists need no join
    verdict = models.CharField(max_length=16, choices=CurrentVerdict.choices, default=CurrentVerdict.UNSCORED)
    label = models.CharField(max_length=16, choices=LabelValue.choices, default="", blank=True)
    rating = models.PositiveSmallIntegerField(null=True, blank=True)
    tags = models.TextField(default="", blank=True)  # canonical form of webapp.tags
    created_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["run", "problem", "sample_index"], name="trace_once_per_sample"),
            models.UniqueConstraint(fields=["run", "fingerprint"], name="trace_once_per_row"),
            models.CheckConstraint(condition=models.Q(verdict__in=CurrentVerdict.values), name="trace_verdict_known"),
            models.CheckConstraint(condition=models.Q(label__in=["", *LabelValue.values]), name="trace_label_known"),
        ]
        indexes = [
            models.Index(fields=["run", "verdict"], name="trace_by_verdict"),
            models.Index(fields=["label"], name="trace_by_label"),
        ]

    def __str__(self) -> str:
        return f"trace {self.pk}"

    @property
    def has_tokens(self) -> bool:
        return bool(self.store_path)


class FindingKind(models.TextChoices):
    """What is not well-formed in a trace (design.md section 4). A finding is a fact, never an error."""

    PREFILLED_THINK = "prefilled_think", _("think opened by the prompt")
    NO_OPENING_TAG = "no_opening_tag", _("no opening tag")
    UNCLOSED_THINK = "unclosed_think", _("think never closed")
    NESTED_THINK = "nested_think", _("think inside think")
    REPEATED_THINK = "repeated_think", _("more than one think")
    STRAY_CLOSING_TAG = "stray_closing_tag", _("closing tag without think")
    TAG_VARIANT = "tag_variant", _("other tag than <think>")
    TEXT_BEFORE_THINK = "text_before_think", _("text before the think")
    SEPARATE_FIELD = "separate_field", _("think in a field of its own")
    NO_THINK = "no_think", _("no think")
    EMPTY_THINK = "empty_think", _("empty think")
    EMPTY_ANSWER = "empty_answer", _("empty answer")
    TRUNCATED = "truncated", _("cut off")


class Finding(models.Model):
    trace = models.ForeignKey(Trace, on_delete=models.CASCADE, related_name="findings")
    kind = models.CharField(max_length=32, choices=FindingKind.choices)
    field = models.CharField(max_length=16, default="completion")  # prompt | reasoning | completion
    start = models.PositiveIntegerField()  # characters into the field
    end = models.PositiveIntegerField()
    note = models.CharField(max_length=300, default="", blank=True)

    class Meta:
        indexes = [models.Index(fields=["kind", "trace"], name="finding_by_kind")]

    def __str__(self) -> str:
        return self.kind


class Verdict(models.Model):
    """One judgement. Rows are only added: a new verifier version or a person adds another."""

    trace = models.ForeignKey(Trace, on_delete=models.CASCADE, related_name="verdicts")
    verifier = models.CharField(max_length=64)  # "math", "person", ...
    version = models.CharField(max_length=64)
    value = models.CharField(max_length=16, choices=VerdictValue.choices)
    score = models.FloatField(null=True, blank=True)  # 0..1 where the verifier gives one
    extracted = models.TextField(default="", blank=True)
    gold = models.TextField(default="", blank=True)
    method = models.CharField(max_length=64, default="", blank=True)
    message = models.TextField(default="", blank=True)
    created_at = models.DateTimeField()
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")

    class Meta:
        indexes = [models.Index(fields=["trace", "-created_at"], name="verdict_newest")]
        constraints = [
            models.CheckConstraint(condition=models.Q(value__in=VerdictValue.values), name="verdict_value_known")
        ]

    def __str__(self) -> str:
        return f"{self.verifier}: {self.value}"


class RoutingComparison(models.Model):
    """A trace's own routing against that of a local engine that replayed it; see workers.mismatch."""

    trace = models.ForeignKey(Trace, on_delete=models.CASCADE, related_name="comparisons")
    engine_name = models.CharField(max_length=200)
    checkpoint_hash = models.CharField(max_length=64)
    tokens = models.PositiveIntegerField()  # compared
    layers = models.JSONField(default=list)  # [{"layer", "differ": tokens, "experts": of all tokens}]
    worst = models.JSONField(default=list)  # [[token, layers that differ, the first of them]], most first
    created_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["trace", "checkpoint_hash"], name="comparison_once_per_checkpoint")
        ]

    def __str__(self) -> str:
        return f"{self.trace} against {self.engine_name}"


# -- counts of a run, kept beside its traces by tally_actions.py alone; the design is in tallies.py -------------------------


class LengthUnit(models.TextChoices):
    TOKENS = "tokens"
    CHARACTERS = "characters"  # of think and answer, where the source says nothing of tokens


class RunTotals(models.Model):
    """What a run's traces came with, which no later verdict changes. One row a run; its lock is that of all counts of the run."""

    run = models.OneToOneField(Run, on_delete=models.CASCADE, primary_key=True, related_name="totals")
    shortest = models.PositiveIntegerField(null=True)  # completion tokens
    longest = models.PositiveIntegerField(null=True)
    finished = models.JSONField(default=dict)  # finish reason -> traces
    findings = models.JSONField(default=dict)  # kind of finding -> traces that have it

    def __str__(self) -> str:
        return f"totals of run {self.run_id}"


class RunBand(models.Model):
    """Traces of a run that stand at one verdict and are about as long: their number, and sums over them."""

    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="bands")
    verdict = models.CharField(max_length=16, choices=CurrentVerdict.choices)
    unit = models.CharField(max_length=16, choices=LengthUnit.choices)
    band = models.SmallIntegerField()  # tallies.band_of the length
    traces = models.BigIntegerField(default=0)
    tokens = models.BigIntegerField(default=0)  # completion tokens
    think_chars = models.BigIntegerField(default=0)
    answer_chars = models.BigIntegerField(default=0)
    logprob = models.FloatField(default=0.0)  # sum of the traces' means, and of how many traces it is
    logprob_traces = models.BigIntegerField(default=0)
    entropy = models.FloatField(default=0.0)
    entropy_traces = models.BigIntegerField(default=0)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["run", "verdict", "unit", "band"], name="run_band_once")]

    def __str__(self) -> str:
        return f"{self.verdict}, {self.unit} {self.band}"


class RunProblem(models.Model):
    """One problem's samples in a run (a group): how many, how judged, how long."""

    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="run_problems")
    problem = models.ForeignKey(Problem, on_delete=models.CASCADE, related_name="+")
    position = models.PositiveIntegerField(default=0)  # the problem's, so that a page of groups is read off an index
    samples = models.PositiveIntegerField(default=0)
    judged = models.PositiveIntegerField(default=0)
    correct = models.PositiveIntegerField(default=0)
    tokens = models.BigIntegerField(default=0)
    tokens_samples = models.PositiveIntegerField(default=0)  # samples whose tokens are known
    think_chars = models.BigIntegerField(default=0)
    answer_chars = models.BigIntegerField(default=0)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["run", "problem"], name="run_problem_once")]
        indexes = [
            models.Index(fields=["run", "judged", "correct"], name="run_problem_by_success"),
            models.Index(fields=["run", "position", "problem"], name="run_problem_in_order"),
        ]

    def __str__(self) -> str:
        return f"{self.correct} of {self.judged}"


class RunRouting(models.Model):
    """How often a run's tokens went to each expert of a layer: every position that went through the model, prompts included."""

    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="routing")
    layer = models.PositiveIntegerField()  # decoder layer id
    top_k = models.PositiveIntegerField()
    tokens = models.BigIntegerField(default=0)
    counts = models.JSONField(default=list)  # tokens by expert

    class Meta:
        constraints = [models.UniqueConstraint(fields=["run", "layer"], name="run_routing_once")]

    def __str__(self) -> str:
        return f"layer {self.layer}"
