"""The job pages: what runs, what ran, cancel and resume."""

import uuid

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe
from django_htmx.http import HttpResponseStopPolling

from webapp.accounts.access import MemberRequest, role_required
from webapp.accounts.models import Role
from webapp.jobs import actions, queries, words
from webapp.jobs.models import Job, JobKind, JobState

PER_PAGE = 50


@require_safe
@role_required(Role.VIEWER)
def job_list(request: MemberRequest) -> HttpResponse:
    """All jobs, newest first."""
    state, kind = request.GET.get("state", ""), request.GET.get("kind", "")
    page = Paginator(queries.listed(state=state, kind=kind), PER_PAGE).get_page(request.GET.get("page"))
    choices = {"states": JobState.choices, "kinds": JobKind.choices}
    return render(request, "jobs/list.html", {"page": page, "state": state, "kind": kind, **choices})


@require_safe
@role_required(Role.VIEWER)
def detail(request: MemberRequest, job_id: uuid.UUID) -> HttpResponse:
    """One job: progress, words, and what may be done about it."""
    job = get_object_or_404(Job.objects.select_related("created_by"), pk=job_id)
    return render(request, "jobs/detail.html", _context(request, job))


@require_safe
@role_required(Role.VIEWER)
def fragment(request: MemberRequest, job_id: uuid.UUID) -> HttpResponse:
    """The job's state, which polls itself until the job has ended."""
    job = get_object_or_404(Job.objects.select_related("created_by"), pk=job_id)
    response = render(request, "jobs/_state.html", _context(request, job))
    return HttpResponseStopPolling(response.content) if job.is_finished else response


@require_POST
@role_required(Role.VIEWER)
def cancel(request: MemberRequest, job_id: uuid.UUID) -> HttpResponse:
    """Ask a job to stop."""
    job = _steerable(request, job_id)
    if actions.cancel(job.pk, by=request.user):
        messages.info(request, _("The job is asked to stop. What it finished is kept."))
    else:
        messages.warning(request, _("The job had already ended."))
    return redirect(_back(request, job))


@require_POST
@role_required(Role.VIEWER)
def resume(request: MemberRequest, job_id: uuid.UUID) -> HttpResponse:
    """Start a failed or cancelled job again where it stopped."""
    job = _steerable(request, job_id)
    if actions.resume(job.pk, by=request.user):
        messages.success(request, _("The job goes on where it stopped."))
    else:
        messages.warning(request, _("Only a failed or cancelled job can be resumed."))
    return redirect(_back(request, job))


def _context(request: MemberRequest, job: Job) -> dict[str, object]:
    return {
        "job": job,
        "facts": words.result_facts(job.result),
        "filled": queries.filled_by(job),
        "may_steer": queries.may_steer(request.user, job),
        "can_resume": job.state in (JobState.FAILED, JobState.CANCELLED),
    }


def _steerable(request: MemberRequest, job_id: uuid.UUID) -> Job:
    job = get_object_or_404(Job, pk=job_id)
    if not queries.may_steer(request.user, job):
        raise PermissionDenied(_("Only the one who started the job and editors may do this."))
    return job


def _back(request: MemberRequest, job: Job) -> str:
    """The page that the form named, when it is one of ours; else the job's page."""
    target = request.POST.get("next", "")
    ours = url_has_allowed_host_and_scheme(target, {request.get_host()}, require_https=request.is_secure())
    return target if ours else reverse("jobs:detail", args=[job.pk])
