"""Writes of imports of traces: the run that is filled, its report."""

from django.db import transaction
from django.db.models import Count, Max
from django.utils.translation import gettext as _

from webapp import dispatch
from webapp.accounts.models import User
from webapp.jobs import actions as jobs
from webapp.jobs.models import Job, JobKind
from webapp.problems.actions import get_or_create_set
from webapp.problems.models import ProblemSet
from webapp.problems.uploads import ImportSource
from webapp.traces.actions import attach_job, create_run
from webapp.traces.models import Run, RunKind, Trace


@transaction.atomic
def start_trace_import(
    source: ImportSource,
    *,
    by: User | None,
    run_name: str,
    format_name: str = "auto",
    problem_set: ProblemSet | None = None,
) -> Job:
    """Import a file of traces into the run of this name; an import run that exists gets the rows that it does not have yet.

    Without `problem_set` the questions go into a set of the run's own. Raises ValueError when the name is that of a generated run,
    or of one whose import is not over.
    """
    run = Run.objects.select_related("job").filter(name=run_name).first()
    if run is not None and run.kind != RunKind.IMPORT:
        raise ValueError(_("The run %(name)r was generated; choose another name for the import.") % {"name": run_name})
    if run is not None and run.job is not None and not run.job.is_finished:
        raise ValueError(_("The run %(name)r is being imported into; wait until that is over.") % {"name": run_name})
    if run is None:
        problems = problem_set or get_or_create_set(f"{run_name[:190]} problems", by=by, source=source.name)
        kept = {"file": source.name, "sha256": source.sha256, "size": source.size, "format": format_name}
        run = create_run(name=run_name, kind=RunKind.IMPORT, by=by, problem_set=problems, source=kept)
    args = {**source.as_args(), "format": format_name, "run_id": run.pk}
    title = _("Import %(name)s") % {"name": source.name}
    job = jobs.create(
        JobKind.IMPORT_TRACES,
        title=title,
        by=by,
        args=args,
        queue=dispatch.DEFAULT_QUEUE,
        total=source.size,
        unit="bytes",
    )
    attach_job(run, job)
    return job


def run_of_file(sha256: str) -> Run | None:
    """The first run that a file of this hash went into."""
    return Run.objects.filter(kind=RunKind.IMPORT, source__sha256=sha256).order_by("pk").first()


def free_run_name(wanted: str, *, sha256: str) -> str:
    """A name for an import: the run that this very file went into, else `wanted`, with a number when that is taken."""
    wanted = wanted[:180] or _("import")
    earlier = run_of_file(sha256)
    if earlier is not None:
        return earlier.name
    taken = set(Run.objects.filter(name__startswith=wanted).values_list("name", flat=True))
    return next(name for name in (wanted, *(f"{wanted} {n}" for n in range(2, len(taken) + 3))) if name not in taken)


def keep_report(run_id: int, report: dict[str, object]) -> None:
    """Store the report of an import so far."""
    Run.objects.filter(pk=run_id).update(report=report)


def keep_size(run_id: int) -> None:
    """Store how many traces the run has now and how many its largest group has."""
    traces = Trace.objects.filter(run_id=run_id)
    largest = traces.values("problem").annotate(n=Count("pk")).aggregate(largest=Max("n"))["largest"]
    Run.objects.filter(pk=run_id).update(planned=traces.count(), samples_per_problem=largest or 1)
