"""Stage: rejection sampling. A recipe over runs gives every trace a fate, a funnel of counts, and a frozen dataset version.

A preview gives the funnel alone and stores nothing. What is read out of texts is kept in the cache for a day, so that the
selection after its preview, or the next slice of a long job, does not read them again. Left out: the rules themselves
(rejection_rules.py) and the rows (freezing.py).
"""

import hashlib
import time
from collections.abc import Iterable, Sequence
from typing import Any

from django.core.cache import cache
from django.db import transaction
from django.db.models import BooleanField, Case, Q, Value, When
from django.utils import timezone
from django.utils.translation import gettext as _
from redis.exceptions import RedisError

from webapp.curation import recipes
from webapp.curation.dataset_actions import add_version
from webapp.curation.models import Selection
from webapp.curation.recipes import Recipe
from webapp.curation.selection_actions import NewCandidate, store_outcome
from webapp.jobs import actions as jobs
from webapp.jobs.models import Job
from webapp.traces.models import Finding, Trace
from workers import freezing
from workers.measures import language_share, repeated_share
from workers.parsing import answer_text, think_text
from workers.rejection_rules import Decision, Facts, Measured, apply_measured, apply_plain, needs_text

CHUNK = 100  # traces whose texts are read together
KEEP_MEASURES = 24 * 3600  # seconds
_MEASURE_VERSION = 1  # raise it when a measure changes
_COLUMNS = {  # of Facts, and where the database has them
    "trace_id": "pk", "run_id": "run_id", "problem_key": "problem__key", "sample_index": "sample_index", "verdict": "verdict",
    "label": "label", "finish_reason": "finish_reason", "completion_tokens": "completion_tokens", "think_chars": "think_chars",
    "answer_chars": "answer_chars", "mean_logprob": "mean_logprob", "has_question": "is_asked",
}  # fmt: skip


def preview(recipe: Recipe, run_ids: Sequence[int]) -> list[dict[str, Any]]:
    """The funnel of a recipe over runs: [{"step", "problems", "traces", "rejected", "reasons"}], each step with what it left."""
    decision = Decision()
    left = apply_plain(_facts(run_ids), recipe, decision)
    measured: dict[int, Measured] = {}
    for chunk in _chunks(left) if needs_text(recipe) else ():
        measured |= _measure(chunk, recipe)[0]
    apply_measured(left, measured, recipe, decision)
    return decision.funnel


def run(job: Job, deadline: float) -> bool:
    """Preview (args preview, recipe, run_ids) or run a selection (args selection_id, dataset); False with work left.

    Raises ValueError when nothing is kept; the fates are stored then too, so that a person sees why.
    """
    selection = None if job.args.get("preview") else Selection.objects.filter(pk=job.args["selection_id"]).first()
    if selection is None and not job.args.get("preview"):
        raise ValueError(_("There is no selection %(id)s any more.") % {"id": job.args["selection_id"]})
    recipe = recipes.parse(selection.recipe if selection else job.args["recipe"])
    run_ids = list(selection.runs.values_list("pk", flat=True)) if selection else list(job.args["run_ids"])
    decision = _decide(job, deadline, recipe, run_ids)
    if decision is None:
        return False
    if selection is None:
        job.result = {"funnel": decision.funnel, "words": recipes.in_words(recipe), "kept": len(decision.kept)}
        return True
    _store(job, selection, recipe, decision)
    return True


def _decide(job: Job, deadline: float, recipe: Recipe, run_ids: Sequence[int]) -> Decision | None:
    """The decision on every trace of the runs; None when the deadline passed and the rest can be done by the next slice."""
    decision = Decision()
    left = apply_plain(_facts(run_ids), recipe, decision)
    total = decision.funnel[0]["traces"]
    done = total - len(left)
    jobs.progress(job, done=done, total=total)
    measured: dict[int, Measured] = {}
    for chunk in _chunks(left) if needs_text(recipe) else ():
        found, fresh = _measure(chunk, recipe)
        measured |= found
        done += len(chunk)
        jobs.progress(job, done=done)
        if fresh and time.monotonic() > deadline and len(measured) < len(left) and _is_cached(chunk[0], recipe):
            return None  # only after new work, so that each slice comes further
    apply_measured(left, measured, recipe, decision)
    jobs.progress(job, done=total)
    return decision


def _store(job: Job, selection: Selection, recipe: Recipe, decision: Decision) -> None:
    """Freeze what was kept and store version, fates and funnel together: all of it is there or nothing."""
    candidates = [NewCandidate(trace_id, *fate) for trace_id, fate in sorted(decision.fates.items())]
    if not decision.kept:
        store_outcome(selection, candidates, decision.funnel)
        raise ValueError(
            _(
                "The recipe keeps none of the %(n)s traces, so no dataset was made. The funnel shows which rule took them."
            )
            % {"n": len(candidates)}
        )
    rows, tally = freezing.freeze(
        decision.kept, on_progress=lambda done: jobs.progress(job, done=done, total=len(decision.kept))
    )
    now = timezone.now()
    with transaction.atomic():
        store_outcome(selection, candidates, decision.funnel)
        document = freezing.manifest(selection, recipe, decision.funnel, rows, tally, at=now)
        dataset = str(job.args["dataset"])
        version = add_version(selection, dataset=dataset, rows=rows, manifest=document, by=job.created_by, at=now)
    job.result = {
        "funnel": decision.funnel, "kept": len(decision.kept), "dataset_id": version.dataset_id, "version_id": version.pk,
        "number": version.number, "content_hash": rows.content_hash,
    }  # fmt: skip
    words = _("%(kept)s of %(all)s traces kept, frozen as %(version)s.")
    job.message = words % {"kept": len(decision.kept), "all": len(candidates), "version": version}


def _facts(run_ids: Sequence[int]) -> list[Facts]:
    """What the rules need of every trace of the runs, in two queries."""
    findings: dict[int, set[str]] = {}
    for trace_id, kind in Finding.objects.filter(trace__run__in=run_ids).values_list("trace_id", "kind"):
        findings.setdefault(trace_id, set()).add(kind)
    is_asked = Case(
        When(~Q(problem__prompt="") | Q(problem__messages__isnull=False) | ~Q(prompt=""), then=Value(value=True)),
        default=Value(value=False),
        output_field=BooleanField(),
    )
    traces = Trace.objects.filter(run__in=run_ids).annotate(is_asked=is_asked)
    rows = (dict(zip(_COLUMNS, row, strict=True)) for row in traces.values_list(*_COLUMNS.values()))
    return [Facts(**row, findings=frozenset(findings.get(row["trace_id"], ()))) for row in rows]


def _chunks(facts: Sequence[Facts]) -> Iterable[Sequence[Facts]]:
    return (facts[start : start + CHUNK] for start in range(0, len(facts), CHUNK))


def _measure(chunk: Sequence[Facts], recipe: Recipe) -> tuple[dict[int, Measured], int]:
    """What the texts of a chunk say, by trace, and how many had to be read; the others were in the cache."""
    keys = {f.trace_id: _cache_key(f, recipe) for f in chunk}
    known = _cached(list(keys.values()))
    missing = [trace_id for trace_id, key in keys.items() if key not in known]
    fresh = {}
    for trace in Trace.objects.filter(pk__in=missing).only("segments", "reasoning", "completion"):
        fresh[keys[trace.pk]] = _read(trace, recipe)
    _remember(fresh)
    return {trace_id: Measured(*(known | fresh)[key]) for trace_id, key in keys.items()}, len(fresh)


def _read(trace: Trace, recipe: Recipe) -> tuple[float | None, float | None, str]:
    """The measures of one text; the language, which costs most, is not looked at where repetition refuses the trace."""
    think = think_text(trace.segments, trace.reasoning, trace.completion)
    answer = answer_text(trace.segments, trace.reasoning, trace.completion)
    limit = recipe.no_repetition
    repeated = repeated_share(think, limit.words) if limit else None
    is_refused = limit is not None and repeated is not None and repeated > limit.max_share
    share = language_share(think, recipe.languages) if recipe.languages and not is_refused else None
    digest = hashlib.sha256(f"{think.strip()}\x00{answer.strip()}".encode("utf-8", "replace")).hexdigest()
    return repeated, share, digest


def _cache_key(facts: Facts, recipe: Recipe) -> str:
    """A trace's text never changes, so its id and what was asked of it say all."""
    asked = hashlib.sha256(repr((recipe.no_repetition, recipe.languages)).encode()).hexdigest()[:16]
    return f"measured:{_MEASURE_VERSION}:{asked}:{facts.trace_id}"


def _is_cached(facts: Facts, recipe: Recipe) -> bool:
    key = _cache_key(facts, recipe)
    return key in _cached([key])


def _cached(keys: list[str]) -> dict[str, Any]:
    try:
        return cache.get_many(keys)
    except (RedisError, OSError):  # a command may run with no broker about; then nothing is remembered
        return {}


def _remember(measures: dict[str, Any]) -> None:
    try:
        cache.set_many(measures, KEEP_MEASURES)
    except (RedisError, OSError):
        return
