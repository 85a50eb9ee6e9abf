"""The generation stage: a run's problems through a local engine, chunk by chunk, each saved with its token shard before the next.

A sample's seed follows from the run's seed, the problem's key and the sample's number, so a chunk done twice says the same. While it samples,
the growing text lies in the cache for the run's page; the database is the truth. Left out: remote engines.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.utils import timezone
from django.utils.translation import gettext as _

from webapp.jobs import actions as jobs
from webapp.jobs.models import Job
from webapp.problems.models import Problem
from webapp.traces.actions import add_traces
from webapp.traces.models import Run, Trace
from webapp.traces.records import NewFinding, NewTrace, StoredTokens
from webapp.traces.tokenstore import ShardMeta, write_shard
from workers import loaded, tokenarrays
from workers.live import LiveText
from workers.parsing import parse, with_tokens

if TYPE_CHECKING:
    from inference import Completion, Engine

CHECK_SECONDS = 0.5  # how often a running chunk asks whether it was cancelled


@dataclass(frozen=True, slots=True)
class Wanted:
    """One sample to make."""

    problem: Problem
    sample_index: int
    prompt: str
    prompt_ids: list[int]
    seed: int


def run(job: Job, deadline: float) -> bool:
    """Generate what the run `args["run_id"]` still lacks; False when the deadline passed with work left."""
    target = Run.objects.select_related("engine", "problem_set").filter(pk=job.args.get("run_id")).first()
    if target is None or target.engine is None:
        raise ValueError(_("There is no run %(id)s any more.") % {"id": job.args.get("run_id")})
    done = Trace.objects.filter(run=target).count()
    jobs.progress(
        job, done=done, total=target.planned, message=_("loading %(engine)s") % {"engine": target.engine.name}
    )
    engine = loaded.engine(target.engine)
    for chunk in _chunks(target, engine):
        began, at = time.monotonic(), timezone.now()
        traces, tokens = _sample(job, target, engine, chunk, at, done)
        done += add_traces(target, traces)
        rate = tokens / max(time.monotonic() - began, 1e-6)
        job.args["tokens"] = int(job.args.get("tokens", 0)) + tokens
        job.args["seconds"] = float(job.args.get("seconds", 0.0)) + time.monotonic() - began
        Job.objects.filter(pk=job.pk, lease_token=job.lease_token).update(args=job.args)
        jobs.progress(job, done=done, message=_("%(rate)s tokens a second") % {"rate": f"{rate:,.0f}"})
        if done < target.planned and time.monotonic() > deadline:
            return False
    job.result = {
        "traces": done,
        "tokens": job.args.get("tokens", 0),
        "seconds": round(float(job.args.get("seconds", 0.0)), 2),
    }
    job.message = _("%(traces)s samples, %(tokens)s tokens") % {
        "traces": f"{done:,}",
        "tokens": f"{int(job.result['tokens']):,}",
    }
    return True


def _chunks(run: Run, engine: "Engine") -> Iterator[list[Wanted]]:
    """What is missing, in the set's order, `GENERATE_BATCH` samples at a time."""
    problems = Problem.objects.filter(problem_set=run.problem_set).order_by("position")
    if run.problem_ids is not None:
        problems = problems.filter(pk__in=run.problem_ids)
    have = set(Trace.objects.filter(run=run).values_list("problem_id", "sample_index"))
    chunk: list[Wanted] = []
    for problem in problems.iterator():
        missing = [i for i in range(run.samples_per_problem) if (problem.pk, i) not in have]
        if not missing:
            continue
        prompt = _prompt(run, engine, problem)
        ids = engine.tokenizer.encode(prompt)
        for index in missing:
            chunk.append(
                Wanted(problem, index, prompt, ids, loaded.seed_of(int(run.params["seed"]), problem.key, index))
            )
            if len(chunk) == settings.GENERATE_BATCH:
                yield chunk
                chunk = []
    if chunk:
        yield chunk


def _prompt(run: Run, engine: "Engine", problem: Problem) -> str:
    """The exact text that the model sees: the checkpoint's chat template over the problem's messages."""
    messages = problem.messages or [{"role": "user", "content": problem.prompt}]
    system = str(run.params.get("system_prompt") or "")
    return engine.tokenizer.apply_chat_template(
        [{"role": "system", "content": system}, *messages] if system else messages
    )


def _sample(
    job: Job, run: Run, engine: "Engine", chunk: list[Wanted], at: datetime, done: int
) -> tuple[list[NewTrace], int]:
    """Sample a chunk, keep its live text, write its shard. Returns its traces and the number of sampled tokens."""
    began = time.monotonic()
    asked = [0.0]

    def should_stop() -> bool:
        now = time.monotonic()
        if now - asked[0] < CHECK_SECONDS:
            return False
        asked[0] = now
        jobs.progress(job, done=done)  # renews the lease; raises when the job was cancelled
        return False

    completions: dict[int, Completion] = {}
    seconds: dict[int, float] = {}
    live = LiveText(run.pk, engine.tokenizer, [(w.problem.pk, w.sample_index, w.prompt) for w in chunk])
    for step in engine.stream(
        [w.prompt_ids for w in chunk], _params(run), seeds=[[w.seed] for w in chunk], should_stop=should_stop
    ):
        live.add([row for row, _sample in step.rows], step.token_ids, ended=[f.prompt for f in step.finished])
        for finished in step.finished:
            completions[finished.prompt] = finished.completion
            seconds[finished.prompt] = time.monotonic() - began
    live.flush()
    prepared = [
        tokenarrays.arrange(engine.tokenizer, w.prompt, w.prompt_ids, completions[i]) for i, w in enumerate(chunk)
    ]
    stored = _store(run, engine, chunk, [p.arrays for p in prepared])
    traces = [
        _trace(run, wanted, completions[i], prepared[i], stored[i], seconds[i], at) for i, wanted in enumerate(chunk)
    ]
    return traces, sum(len(c.token_ids) for c in completions.values())


def _params(run: Run) -> Any:
    from inference import SamplingParams  # noqa: PLC0415  # torch: only the worker that generates loads it

    p = run.params
    return SamplingParams(
        max_tokens=int(p["max_tokens"]),
        temperature=float(p["temperature"]),
        top_p=float(p.get("top_p", 1.0)),
        top_k=int(p.get("top_k", 0)),
        n=1,
    )


def _store(run: Run, engine: "Engine", chunk: list[Wanted], arrays: list[Any]) -> list[StoredTokens]:
    config = engine.config
    meta = ShardMeta(
        list(config.router_layers),
        config.n_routed_experts,
        config.num_experts_per_tok,
        source=f"{run.engine} {engine.hash()[:12]}",
    )
    first = chunk[0]
    # A chunk that a killed worker had written before it could save its rows is written again under its own name.
    name = f"runs/{run.pk}/{first.problem.pk}-{first.sample_index}-{len(chunk)}-{tokenarrays.digest(arrays)}.parquet"
    return write_shard(name, arrays, meta)


def _trace(
    run: Run,
    wanted: Wanted,
    completion: "Completion",
    prepared: tokenarrays.Arranged,
    stored: StoredTokens,
    seconds: float,
    at: datetime,
) -> NewTrace:
    parsed = parse(wanted.prompt, None, prepared.text, completion.finish_reason)
    return NewTrace(
        problem_id=wanted.problem.pk, sample_index=wanted.sample_index, prompt=wanted.prompt, completion=prepared.text,
        segments=[dict(s) for s in with_tokens(parsed.segments, wanted.prompt, prepared.text, prepared.spans)],
        findings=[NewFinding(f.kind, f.field, f.start, f.end, f.note) for f in parsed.findings],
        finish_reason=completion.finish_reason, model_name=str(run.engine), seed=wanted.seed, prompt_tokens=len(wanted.prompt_ids),
        completion_tokens=len(completion.token_ids), mean_logprob=float(completion.logprobs.mean()),
        mean_entropy=float(completion.entropies.mean()), duration_seconds=seconds, tokens=stored, created_at=at,
    )  # fmt: skip
