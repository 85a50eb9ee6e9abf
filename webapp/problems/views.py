"""The pages of problem sets and problems. Importing has its own modules."""

import json

from django.core.paginator import Paginator
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_safe

from webapp.accounts.access import MemberRequest, role_required
from webapp.accounts.models import Role
from webapp.problems import queries
from webapp.problems.filters import ProblemFilter
from webapp.problems.models import Problem
from webapp.tags import as_list

PER_PAGE = 50


@require_safe
@role_required(Role.VIEWER)
def sets(request: MemberRequest) -> HttpResponse:
    """All problem sets."""
    page = Paginator(queries.sets(), PER_PAGE).get_page(request.GET.get("page"))
    return render(request, "problems/list.html", {"page": page, "may_edit": request.user.may(Role.EDITOR)})


@require_safe
@role_required(Role.VIEWER)
def problem_set(request: MemberRequest, set_id: int) -> HttpResponse:
    """One set: its problems, filtered, sorted and paged by the address."""
    row = get_object_or_404(queries.sets(), pk=set_id)
    criteria = ProblemFilter(request.GET, queryset=Problem.objects.filter(problem_set=row))
    sort = request.GET.get("sort", "")
    page = Paginator(queries.in_order(criteria.qs, sort), PER_PAGE).get_page(request.GET.get("page"))
    context = {
        "set": row,
        "criteria": criteria,
        "filtered": any(request.GET.get(name) for name in criteria.filters),
        "page": page,
        "rows": [(problem, as_list(problem.tags)) for problem in page.object_list],
        "sort": sort,
        "may_edit": request.user.may(Role.EDITOR),
    }
    return render(request, "problems/set.html", context)


@require_safe
@role_required(Role.VIEWER)
def detail(request: MemberRequest, problem_id: int) -> HttpResponse:
    """One problem: what is asked, the gold answer, how it is verified, and its traces by run."""
    problem = get_object_or_404(Problem.objects.select_related("problem_set"), pk=problem_id)
    before, after = queries.neighbours(problem)
    context = {
        "problem": problem,
        "tags": as_list(problem.tags),
        "verifier_args": _as_text(problem.verifier_args),
        "metadata": _as_text(problem.metadata),
        "runs": queries.runs_of(problem),
        "before": before,
        "after": after,
        "may_edit": request.user.may(Role.EDITOR),
    }
    return render(request, "problems/detail.html", context)


def _as_text(value: dict[str, object]) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2) if value else ""
