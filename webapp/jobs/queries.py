"""Reads of jobs. What a job fills (runs, selections, exports) lies above it in the flow and comes through the relations."""

from django.db.models import QuerySet
from django.urls import reverse

from webapp.accounts.models import Role, User
from webapp.jobs.models import FINISHED_STATES, Job, JobKind, JobState


def listed(*, state: str = "", kind: str = "") -> QuerySet[Job]:
    """Jobs, the newest first; an unknown state or kind filters nothing."""
    jobs = Job.objects.select_related("created_by").defer("args", "result").order_by("-created_at", "pk")
    if state in JobState.values:
        jobs = jobs.filter(state=state)
    if kind in JobKind.values:
        jobs = jobs.filter(kind=kind)
    return jobs


def unfinished() -> QuerySet[Job]:
    """Jobs that have not ended, the newest first."""
    return Job.objects.exclude(state__in=FINISHED_STATES).defer("args", "result").order_by("-created_at", "pk")


def may_steer(user: User, job: Job) -> bool:
    """Whether `user` may cancel or resume `job`: who started it, and every editor."""
    return job.created_by_id == user.pk or user.may(Role.EDITOR)


def filled_by(job: Job) -> list[tuple[str, str]]:
    """What the job filled or fills, as (name, address)."""
    found = [(row.name, reverse("traces:run", args=[row.pk])) for row in job.runs.all()]
    found += [(row.name, reverse("curation:selection", args=[row.pk])) for row in job.selections.all()]
    found += [
        (str(row), reverse("curation:export", args=[row.pk])) for row in job.exports.select_related("version__dataset")
    ]
    return found
