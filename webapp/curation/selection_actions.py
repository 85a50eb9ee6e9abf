"""Writes of selections: the selection with its job, its candidates, its funnel. Candidates are only added.

Left out: what a recipe decides (workers/rejection.py) and the dataset version that a selection freezes (dataset_actions.py).
A job's args are {"preview": true, "recipe", "run_ids"} or {"selection_id", "dataset"}.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from webapp.accounts.actions import record
from webapp.accounts.models import User
from webapp.curation import recipes
from webapp.curation.models import Candidate, Selection
from webapp.dispatch import DEFAULT_QUEUE
from webapp.jobs import actions as jobs
from webapp.jobs.models import Job, JobKind
from webapp.traces.models import Run

MAX_NAME = 200


@dataclass(frozen=True, slots=True)
class NewCandidate:
    """The fate of one trace: a Fate value, the name of the rule that decided it, and why in words."""

    trace_id: int
    fate: str
    rule: str
    detail: str = ""


@transaction.atomic
def request_preview(*, recipe: object, run_ids: Sequence[int], by: User | None) -> Job:
    """Ask for a recipe's funnel without storing anything; it will be in the job's result as {"funnel": [...], "words": [...]}.

    Raises RecipeError (a ValueError) for a recipe that cannot be followed, ValueError when there is no such run.
    """
    checked = recipes.parse(recipe)
    runs = _runs(run_ids)
    title = _("Preview of a selection over %(runs)s") % {"runs": ", ".join(run.name for run in runs)}
    args = {"preview": True, "recipe": checked.as_document(), "run_ids": [run.pk for run in runs]}
    return jobs.create(JobKind.SELECT, title=title, by=by, args=args, queue=DEFAULT_QUEUE, unit=_("traces"))


@transaction.atomic
def create_selection(
    *, name: str, recipe: object, run_ids: Sequence[int], dataset: str, by: User | None, at: datetime
) -> Selection:
    """Add a selection and the job that runs it; the job freezes the next version of `dataset` (made when new).

    Raises RecipeError for a recipe that cannot be followed, ValueError when a name is missing, too long or taken, or
    when there is no such run.
    """
    checked = recipes.parse(recipe)
    runs = _runs(run_ids)
    for what, value in ((_("selection"), name), (_("dataset"), dataset)):
        if not value.strip() or len(value) > MAX_NAME:
            raise ValueError(_("Give the %(what)s a name of at most %(n)s characters.") % {"what": what, "n": MAX_NAME})
    try:
        with transaction.atomic():
            selection = Selection.objects.create(name=name, recipe=checked.as_document(), created_at=at, created_by=by)
    except IntegrityError as error:
        raise ValueError(_("A selection named “%(name)s” exists; choose another name.") % {"name": name}) from error
    selection.runs.set(runs)
    selection.job = jobs.create(
        JobKind.SELECT, title=_("Select “%(name)s”") % {"name": name}, by=by, queue=DEFAULT_QUEUE, unit=_("traces"),
        args={"selection_id": selection.pk, "dataset": dataset},
    )  # fmt: skip
    selection.save(update_fields=["job"])
    detail: dict[str, object] = {"name": name, "runs": [run.pk for run in runs], "dataset": dataset}
    record("selection.created", f"selection {selection.pk}", by=by, detail=detail)
    return selection


@transaction.atomic
def store_outcome(selection: Selection, candidates: Sequence[NewCandidate], funnel: list[dict[str, Any]]) -> None:
    """Keep every candidate's fate and the funnel. What an attempt that froze nothing has left is replaced.

    Once the selection has a version its candidates stand, and this changes nothing.
    """
    if selection.versions.exists():
        return
    selection.candidates.all().delete()
    add_candidates(selection, candidates)
    set_funnel(selection, funnel)


def add_candidates(selection: Selection, candidates: Sequence[NewCandidate]) -> None:
    """Save the fate of traces; a trace that has one in this selection keeps it."""
    rows = [
        Candidate(selection=selection, trace_id=c.trace_id, fate=c.fate, rule=c.rule, detail=c.detail[:300])
        for c in candidates
    ]
    Candidate.objects.bulk_create(rows, ignore_conflicts=True, batch_size=500)


def set_funnel(selection: Selection, funnel: list[dict[str, Any]]) -> None:
    """Keep the counts at each step beside the selection."""
    Selection.objects.filter(pk=selection.pk).update(funnel=funnel)
    selection.funnel = funnel


def _runs(run_ids: Sequence[int]) -> list[Run]:
    wanted = sorted(set(run_ids))
    runs = list(Run.objects.filter(pk__in=wanted).order_by("pk"))
    if not wanted:
        raise ValueError(_("Choose at least one run."))
    if len(runs) < len(wanted):
        missing = sorted(set(wanted) - {run.pk for run in runs})
        raise ValueError(_("There is no run %(ids)s.") % {"ids": ", ".join(map(str, missing))})
    return runs
