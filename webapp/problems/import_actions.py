"""Starts previews and imports: the rows they fill and the job that does the work, in one transaction."""

from django.db import transaction
from django.utils.translation import gettext as _

from webapp import dispatch
from webapp.accounts.models import User
from webapp.jobs import actions as jobs
from webapp.jobs.models import Job, JobKind
from webapp.problems.actions import get_or_create_set
from webapp.problems.uploads import ImportSource


def start_preview(kind: JobKind, source: ImportSource, *, by: User, format_name: str = "auto") -> Job:
    """Have the beginning of an uploaded file read, by a worker; what was understood becomes the job's result."""
    args = {**source.as_args(), "format": format_name, "preview": True}
    title = _("Look into %(name)s") % {"name": source.name}
    return jobs.create(
        kind, title=title, by=by, args=args, queue=dispatch.DEFAULT_QUEUE, total=source.size, unit="bytes"
    )


@transaction.atomic
def start_problem_import(source: ImportSource, *, by: User | None, set_name: str, format_name: str = "auto") -> Job:
    """Import a file into the problem set of this name, adding the set when there is none."""
    problem_set = get_or_create_set(set_name, by=by, source=source.name)
    args = {**source.as_args(), "format": format_name, "set_id": problem_set.pk}
    title = _("Import %(name)s") % {"name": source.name}
    return jobs.create(
        JobKind.IMPORT_PROBLEMS,
        title=title,
        by=by,
        args=args,
        queue=dispatch.DEFAULT_QUEUE,
        total=source.size,
        unit="bytes",
    )


@transaction.atomic
def start_procedural_import(*, by: User | None, family: str, size: int, seed: int, split: str, set_name: str) -> Job:
    """Make `size` problems of a family; the same family, seed and split always give the same problems."""
    words = _("Made by %(recipe)s") % {"recipe": f"{family}, {size} problems, seed {seed}, {split}"}
    problem_set = get_or_create_set(
        set_name, by=by, description=words, source=f"procedural:{family}", licence="Apache-2.0"
    )
    args = {"procedural": {"family": family, "size": size, "seed": seed, "split": split}, "set_id": problem_set.pk}
    title = _("Make %(size)s problems of %(family)s") % {"size": size, "family": family}
    return jobs.create(
        JobKind.IMPORT_PROBLEMS,
        title=title,
        by=by,
        args=args,
        queue=dispatch.DEFAULT_QUEUE,
        total=size,
        unit="problems",
    )
