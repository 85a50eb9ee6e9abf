"""Asking for traces to be replayed through a local engine, and saving what came of it. Left out: the replay (workers/replaying.py)."""

from collections.abc import Sequence

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from webapp.accounts.actions import record
from webapp.accounts.models import User
from webapp.dispatch import INFERENCE_QUEUE
from webapp.engines.models import Engine, EngineKind
from webapp.jobs import actions as jobs
from webapp.jobs.models import FINISHED_STATES, Job, JobKind
from webapp.traces import tally_actions
from webapp.traces.models import RoutingComparison, Run, RunTotals, Trace
from webapp.traces.records import NewComparison, ReplayedTrace


@transaction.atomic
def request_replay(
    engine: Engine, *, by: User | None, run: Run | None = None, trace_ids: Sequence[int] | None = None
) -> Job:
    """Ask for the tokens and routing of all traces of `run`, or of those in `trace_ids`, by `engine`.

    Returns the job, which is the one already waiting or running when the same was asked before. Raises ValueError for an engine that is not
    local and where no trace is named.
    """
    if engine.kind != EngineKind.LOCAL:
        raise ValueError(
            _("%(engine)s is no local checkpoint, so nothing can be replayed through it.") % {"engine": engine}
        )
    args: dict[str, object] = {"engine_id": engine.pk}
    if run is not None:
        args["run_id"] = run.pk
        what, total = _("“%(name)s”") % {"name": run.name}, Trace.objects.filter(run=run).count()
    else:
        ids = sorted(set(trace_ids or ()))
        if not ids:
            raise ValueError(_("Name at least one trace to be replayed."))
        args["trace_ids"] = ids
        what = _("trace %(id)s") % {"id": ids[0]} if len(ids) == 1 else _("%(count)s traces") % {"count": len(ids)}
        total = len(ids)
    open_job = Job.objects.filter(kind=JobKind.REPLAY, args=args).exclude(state__in=FINISHED_STATES).first()
    if open_job is not None:
        return open_job
    record("trace.replay", f"engine {engine.pk}", by=by, detail={k: v for k, v in args.items() if k != "engine_id"})
    title = _("Replay %(what)s through %(engine)s") % {"what": what, "engine": engine.name}
    return jobs.create(
        JobKind.REPLAY, title=title, by=by, args=args, queue=INFERENCE_QUEUE, total=total, unit=_("traces")
    )


@transaction.atomic
def save_replays(replays: Sequence[ReplayedTrace]) -> int:
    """Point traces to the shards that replays wrote; returns how many. A trace whose shard is no longer what the replay found is left alone.

    The expert load of a trace that had no tokens joins its run's; where another shard is replaced, the caller has the run counted anew.
    """
    rows = Trace.objects.select_for_update().in_bulk([replay.trace_id for replay in replays])
    saved = 0
    for replay in replays:
        trace = rows.get(replay.trace_id)
        if trace is None or trace.store_path != replay.before:
            continue
        trace.store_path, trace.store_row_group = replay.tokens.path, replay.tokens.row_group
        trace.store_tokens = replay.tokens.count
        trace.segments = replay.segments
        trace.provenance = {**trace.provenance, **replay.provenance}
        trace.save(update_fields=["store_path", "store_row_group", "store_tokens", "segments", "provenance"])
        saved += 1
        if not replay.before and replay.tokens.load is not None:
            tally_actions.ensure(trace.run_id)
            RunTotals.objects.select_for_update().get(pk=trace.run_id)  # the lock of all counts of the run
            tally_actions.add_load(trace.run_id, [replay.tokens.load])
    return saved


def save_comparisons(comparisons: Sequence[NewComparison]) -> None:
    """Keep what replays found against traces' own routing; a trace has one comparison with a checkpoint, and keeps the first."""
    now = timezone.now()
    RoutingComparison.objects.bulk_create(
        [
            RoutingComparison(
                trace_id=one.trace_id, engine_name=one.engine_name, checkpoint_hash=one.checkpoint_hash, tokens=one.tokens,
                layers=one.layers, worst=one.worst, created_at=now,
            )
            for one in comparisons
        ],
        ignore_conflicts=True,
    )  # fmt: skip
