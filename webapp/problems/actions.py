"""Writes of problem sets and problems."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field

from django.db import transaction
from django.utils import timezone

from webapp.accounts.actions import record
from webapp.accounts.models import User
from webapp.problems.models import Problem, ProblemSet


@dataclass(frozen=True, slots=True)
class NewProblem:
    """One question to be saved; see Problem for the fields. `key_extra` tells apart problems whose question is unknown."""

    prompt: str
    answer: str | None = None
    messages: list[dict[str, str]] | None = None
    verifier: str = "none"
    verifier_args: dict[str, object] = field(default_factory=dict)
    source: str = ""
    licence: str = ""
    tags: str = ""
    metadata: dict[str, object] = field(default_factory=dict)
    key_extra: str = ""

    @property
    def key(self) -> str:
        """SHA-256 of what makes this problem this problem."""
        parts = [self.prompt, self.messages, self.answer, self.key_extra]
        return hashlib.sha256(json.dumps(parts, ensure_ascii=False, sort_keys=True).encode()).hexdigest()


@transaction.atomic
def get_or_create_set(
    name: str, *, by: User | None, description: str = "", source: str = "", licence: str = ""
) -> ProblemSet:
    """Return the set of this name, adding it when there is none."""
    problem_set, created = ProblemSet.objects.get_or_create(
        name=name,
        defaults={
            "description": description,
            "source": source,
            "licence": licence,
            "created_by": by,
            "created_at": timezone.now(),
        },
    )
    if created:
        record("problem_set.created", f"problem set {problem_set.pk}", by=by, detail={"name": name})
    return problem_set


@transaction.atomic
def add_problems(problem_set: ProblemSet, problems: Sequence[NewProblem]) -> list[int]:
    """Save problems that the set does not have yet; returns the id of each given problem's row, in order, old or new."""
    keys = [problem.key for problem in problems]
    ids = dict(Problem.objects.filter(problem_set=problem_set, key__in=keys).values_list("key", "pk"))
    position = Problem.objects.filter(problem_set=problem_set).count()
    fresh: dict[str, Problem] = {}
    for key, problem in zip(keys, problems, strict=True):
        if key in ids or key in fresh:
            continue
        fresh[key] = Problem(
            problem_set=problem_set, position=position + len(fresh), key=key, prompt=problem.prompt, messages=problem.messages,
            answer=problem.answer, verifier=problem.verifier, verifier_args=problem.verifier_args, source=problem.source,
            licence=problem.licence, tags=problem.tags, metadata=problem.metadata,
        )  # fmt: skip
    Problem.objects.bulk_create(fresh.values())
    ids.update({key: row.pk for key, row in fresh.items()})
    return [ids[key] for key in keys]
