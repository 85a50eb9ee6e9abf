"""The generation stage: a run's problems through a local engine, chunk by chunk, each saved with its token shard before the next.

While a chunk is sampled its growing text lies in the cache for the run's page, and twice a second the job's lease is renewed, which is
also how a cancelled job stops. Of a chunk that is cancelled the samples that had ended are kept. Left out: what a chunk is (planning.py),
the arrays of a sample (tokenarrays.py), engines that are not in this process.
"""

import time
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from django.utils import timezone
from django.utils.translation import gettext as _

from webapp.jobs import actions as jobs
from webapp.jobs.models import Job, JobState
from webapp.traces.actions import add_traces
from webapp.traces.models import Run, Trace
from webapp.traces.records import NewFinding, NewTrace, StoredTokens
from webapp.traces.tokenstore import write_shard
from workers import loaded
from workers.live import LiveText
from workers.parsing import parse, with_tokens
from workers.planning import Asked, Chunk, Plan
from workers.tokenarrays import Arranged, arrange, shard_meta

if TYPE_CHECKING:
    from inference import Completion, Engine, SamplingParams

CHECK_SECONDS = 0.5  # how often a chunk at work renews its lease and asks whether it was cancelled


@dataclass(frozen=True, slots=True)
class Sampled:
    """One sample that ended by itself. `seconds`: from its chunk's start."""

    asked: Asked
    number: int
    completion: "Completion"
    arranged: Arranged
    seconds: float


def run(job: Job, deadline: float) -> bool:
    """Generate what the run args["run_id"] still lacks; False when the deadline passed with work left.

    Raises ValueError when the run is gone, when its engine cannot be loaded, or when not one of its prompts fits the context.
    """
    target = Run.objects.select_related("engine", "problem_set").filter(pk=job.args.get("run_id")).first()
    if target is None or target.engine is None:
        raise ValueError(_("There is no run %(id)s any more.") % {"id": job.args.get("run_id")})
    done = Trace.objects.filter(run=target).count()
    message = _("Loading %(engine)s") % {"engine": target.engine.name}
    jobs.progress(job, done=done, total=target.planned, message=message)
    plan = Plan(target, loaded.engine(target.engine))
    for chunk in plan.chunks():
        began = time.monotonic()
        done += _do(job, plan, chunk, done)
        seconds = float(job.result.get("seconds", 0.0)) + time.monotonic() - began
        result = {**job.result, "traces": done, "seconds": round(seconds, 3)}
        jobs.progress(job, done=done, message=_("Sampling"), result=result)
        if done < target.planned and time.monotonic() > deadline:
            return False
    _conclude(job, target, plan, done)
    return True


def _conclude(job: Job, target: Run, plan: Plan, done: int) -> None:
    too_long = len(plan.too_long)
    context = plan.engine.longest
    if not done and too_long:
        words = _("No prompt fits the context of %(engine)s, which is %(context)s tokens. Ask shorter ones.")
        raise ValueError(words % {"engine": target.engine, "context": f"{context:,}"})
    job.result = {"tokens": 0, "seconds": 0.0, **job.result, "traces": done, "too_long": plan.too_long}
    numbers = {
        "traces": f"{done:,}",
        "tokens": f"{job.result['tokens']:,}",
        "problems": f"{too_long:,}",
        "context": f"{context:,}",
    }
    job.message = _("%(traces)s samples, %(tokens)s tokens.") % numbers
    if too_long:
        left_out = _("%(problems)s problems were not asked: they leave no room in the context of %(context)s tokens.")
        job.message += " " + left_out % numbers
    jobs.progress(job, done=done, total=done)


def _do(job: Job, plan: Plan, chunk: Chunk, done: int) -> int:
    """Sample a chunk and save it; returns how many traces are new. Raises JobStopped when the job was cancelled or lost."""
    at = timezone.now()
    watch = _Watch(job, done)
    live = LiveText(plan.run.pk, plan.engine.tokenizer, chunk.asked, saved=done, planned=plan.run.planned)
    ended = _sample(plan.engine, chunk, _params(plan.run, chunk), live, watch)
    live.publish()
    if watch.stopped and not Job.objects.filter(pk=job.pk, state=JobState.CANCELLED).exists():
        raise jobs.JobStopped(str(job.pk))  # another process has the job, and this chunk
    job.result["tokens"] = int(job.result.get("tokens", 0)) + live.tokens
    stored = _store(plan, job, ended)
    new = add_traces(
        plan.run, [_trace(plan, one, where, at, len(chunk)) for one, where in zip(ended, stored, strict=True)]
    )
    if watch.stopped:
        raise jobs.JobStopped(str(job.pk))
    return new


class _Watch:
    """Asked at each decoding step whether to stop; renews the job's lease every CHECK_SECONDS."""

    def __init__(self, job: Job, done: int) -> None:
        self._job, self._done = job, done
        self._asked = time.monotonic()
        self.stopped = False

    def __call__(self) -> bool:
        if not self.stopped and time.monotonic() - self._asked >= CHECK_SECONDS:
            self._asked = time.monotonic()
            try:
                jobs.progress(self._job, done=self._done, message=_("Sampling"))
            except jobs.JobStopped:
                self.stopped = True
        return self.stopped


def _sample(engine: "Engine", chunk: Chunk, params: "SamplingParams", live: LiveText, watch: _Watch) -> list[Sampled]:
    """The samples of a chunk that ended by themselves, in the chunk's order."""
    began = time.monotonic()
    ended: dict[tuple[int, int], Sampled] = {}
    prompts, seeds = [asked.prompt_ids for asked in chunk.asked], [asked.seeds for asked in chunk.asked]
    for step in engine.stream(prompts, params, capture="full", seeds=seeds, should_stop=watch):
        live.add(step)
        for each in step.finished:
            if each.completion.finish_reason != "cancelled":
                asked = chunk.asked[each.prompt]
                arranged = arrange(engine.tokenizer, asked.prompt, asked.prompt_ids, each.completion)
                seconds = time.monotonic() - began
                ended[each.prompt, each.sample] = Sampled(asked, each.sample, each.completion, arranged, seconds)
    return [ended[place] for place in sorted(ended)]


def _params(run: Run, chunk: Chunk) -> "SamplingParams":
    from inference import SamplingParams  # noqa: PLC0415  # torch: see loaded.py

    given: dict[str, Any] = run.params
    return SamplingParams(
        max_tokens=chunk.max_tokens,
        temperature=float(given["temperature"]),
        top_p=float(given.get("top_p", 1.0)),
        top_k=int(given.get("top_k", 0)),
        n=chunk.samples_each,
    )


def _store(plan: Plan, job: Job, ended: list[Sampled]) -> list[StoredTokens]:
    if not ended:
        return []
    engine = plan.run.engine
    meta = shard_meta(plan.engine.config, f"{engine} {engine.checkpoint_hash[:12]}" if engine else "")
    first = ended[0]
    # The claim's token is part of the name: the shard of a worker that was killed before it saved its rows stands in nobody's way.
    name = f"chunk-{first.asked.problem_id}-{first.asked.samples[first.number]}-{str(job.lease_token)[:8]}.parquet"
    return write_shard(f"runs/{plan.run.pk}/{name}", [one.arranged.arrays for one in ended], meta)


def _trace(plan: Plan, one: Sampled, stored: StoredTokens, at: datetime, batch: int) -> NewTrace:
    asked, said, engine = one.asked, one.completion, plan.run.engine
    parsed = parse(asked.prompt, None, one.arranged.text, said.finish_reason)
    return NewTrace(
        problem_id=asked.problem_id, sample_index=asked.samples[one.number], prompt=asked.prompt, completion=one.arranged.text,
        segments=with_tokens(parsed.segments, asked.prompt, one.arranged.text, one.arranged.spans),
        findings=[NewFinding(f.kind, f.field, f.start, f.end, f.note) for f in parsed.findings],
        finish_reason=said.finish_reason, model_name=str(engine), seed=said.seed, prompt_tokens=len(asked.prompt_ids),
        completion_tokens=len(said.token_ids), mean_logprob=float(said.logprobs.mean()), mean_entropy=float(said.entropies.mean()),
        duration_seconds=one.seconds, tokens=stored, created_at=at,
        provenance={"engine": str(engine), "checkpoint": engine.checkpoint_hash if engine else "", "batch": batch},
    )  # fmt: skip
