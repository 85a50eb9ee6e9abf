"""Asking an engine: a run and its job, made together. Left out: what the job does (workers.generate)."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass

from django.db import transaction
from django.utils import timezone
from django.utils.text import Truncator
from django.utils.translation import gettext as _

from webapp.accounts.models import User
from webapp.dispatch import INFERENCE_QUEUE
from webapp.engines.models import Engine
from webapp.jobs import actions as jobs
from webapp.jobs.models import Job, JobKind
from webapp.problems.actions import NewProblem, add_problems, get_or_create_set
from webapp.problems.models import Problem, ProblemSet
from webapp.traces.actions import attach_job, create_run
from webapp.traces.models import Run, RunKind

ASKED_SET = "Prompts asked here"
MAX_SAMPLES = 1_000_000  # of one run


@dataclass(frozen=True, slots=True)
class Sampling:
    """How a run samples. `seed` None: one is drawn and stored with the run."""

    n: int = 8
    temperature: float = 0.6
    top_p: float = 1.0
    top_k: int = 0
    max_tokens: int = 512
    seed: int | None = None
    system_prompt: str = ""

    def __post_init__(self) -> None:
        """Refuse what no engine can sample, naming the value."""
        limits = [
            ("n", self.n, 1, 1024), ("temperature", self.temperature, 0, 2), ("top_k", self.top_k, 0, 1_000_000),
            ("max_tokens", self.max_tokens, 1, 1_000_000), ("seed", self.seed or 0, 0, 2**62),
        ]  # fmt: skip
        for name, value, low, high in limits:
            if not low <= value <= high:
                raise ValueError(
                    _("%(name)s must lie between %(low)s and %(high)s, got %(value)s")
                    % {"name": name, "low": low, "high": high, "value": value}
                )
        if not 0 < self.top_p <= 1:
            raise ValueError(_("top_p must be above 0 and at most 1, got %(value)s") % {"value": self.top_p})


@transaction.atomic
def start_generation(
    *, engine: Engine, problem_set: ProblemSet, sampling: Sampling, by: User | None, name: str = "", limit: int | None = None,
    problem_ids: Sequence[int] | None = None,
) -> Run:  # fmt: skip
    """Make a run over a set (its first `limit` problems, or `problem_ids`) and the job that generates it.

    Raises ValueError when the name is taken, when there is nothing to ask, or when the engine's context is too short.
    """
    context = int(engine.facts.get("context") or 0)
    if context and sampling.max_tokens >= context:
        words = _("max_tokens %(wanted)s leaves no room for a prompt: the context of %(engine)s is %(context)s tokens")
        raise ValueError(words % {"wanted": sampling.max_tokens, "engine": engine.name, "context": context})
    asked = (
        Problem.objects.filter(problem_set=problem_set).exclude(prompt="", messages__isnull=True).order_by("position")
    )
    ids = list(problem_ids) if problem_ids is not None else list(asked.values_list("pk", flat=True)[:limit])
    if not ids:
        raise ValueError(_("the set %(set)s holds no problem with a prompt") % {"set": problem_set.name})
    planned = len(ids) * sampling.n
    if planned > MAX_SAMPLES:
        raise ValueError(
            _("%(count)s samples are too many for one run; at most %(most)s") % {"count": planned, "most": MAX_SAMPLES}
        )
    seed = secrets.randbelow(2**32) if sampling.seed is None else sampling.seed
    run = create_run(
        name=name or free_name(f"{problem_set.name} · {engine.name}"), kind=RunKind.GENERATE, by=by, problem_set=problem_set, engine=engine,
        params={
            "temperature": sampling.temperature, "top_p": sampling.top_p, "top_k": sampling.top_k, "max_tokens": sampling.max_tokens,
            "seed": seed, "system_prompt": sampling.system_prompt,
        },
        samples_per_problem=sampling.n, problem_ids=ids, planned=planned,
    )  # fmt: skip
    attach_job(run, start_job(run, by=by))
    return run


def start_job(run: Run, *, by: User | None) -> Job:
    """The job that generates what `run` lacks."""
    return jobs.create(
        JobKind.GENERATE, title=_("Generate “%(name)s”") % {"name": run.name}, by=by, args={"run_id": run.pk}, queue=INFERENCE_QUEUE,
        total=run.planned, unit=_("samples"),
    )  # fmt: skip


@transaction.atomic
def ask(
    *, engine: Engine, prompt: str, answer: str, verifier: str, sampling: Sampling, by: User, name: str = ""
) -> Run:
    """Ask one prompt, which joins the set of prompts asked here. Raises ValueError as `start_generation` does."""
    asked = get_or_create_set(ASKED_SET, by=by, description=_("Prompts that were typed into Sluice."))
    problem = NewProblem(prompt=prompt, answer=answer or None, verifier=verifier if answer else "none")
    ids = add_problems(asked, [problem])
    words = Truncator(" ".join(prompt.split())).chars(60)
    return start_generation(
        engine=engine,
        problem_set=asked,
        sampling=sampling,
        by=by,
        name=name or free_name(f"{words} · {engine.name}"),
        problem_ids=ids,
    )


def free_name(wish: str) -> str:
    """`wish`, with the time and, if need be, a number behind it, so that it names no run yet."""
    stem = f"{wish[:150]} · {timezone.localtime():%Y-%m-%d %H:%M}"
    name, number = stem, 2
    while Run.objects.filter(name=name).exists():
        name, number = f"{stem} ({number})", number + 1
    return name


def most_tokens(engine: Engine | None) -> int:
    """How long a sample may be where nobody says: half of a short context, never more than 2,048 tokens."""
    context = int(engine.facts.get("context") or 0) if engine else 0
    return min(2048, context // 2) if context else 512
