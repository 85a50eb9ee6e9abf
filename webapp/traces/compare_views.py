"""Two runs compared over the problems that they have in common."""

from typing import Any

from django.core.paginator import Paginator
from django.http import Http404, HttpResponse, QueryDict
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from webapp.accounts.access import MemberRequest, role_required
from webapp.accounts.models import Role
from webapp.traces import compare_queries, run_queries, tally_actions
from webapp.traces.models import Run

PAIRS_A_PAGE = 50
MOST_CHOICES = 300  # runs to choose from; an older one is compared from its own page


@require_safe
@role_required(Role.VIEWER)
def compare(request: MemberRequest) -> HttpResponse:
    """`?a=1&b=2`: what run b gained and lost over run a; with one or none of them the choice alone."""
    a, b = (_run(request.GET, name) for name in ("a", "b"))
    context: dict[str, Any] = {"a": a, "b": b, "choices": _choices(a, b), "is_same": a is not None and a == b}
    if a is None or b is None or a == b:
        return render(request, "traces/compare.html", context)
    for run in (a, b):
        tally_actions.ensure(run.pk)
    summary = compare_queries.summary(a, b)
    fate = request.GET.get("fate", "")
    fate = fate if fate in compare_queries.FATES else ""
    sort = request.GET.get("sort", "")
    count = summary.counts[fate] if fate else summary.common
    pairs: Any = compare_queries.Pairs(a, b, fate=fate, sort=sort, count=count)
    pages: Paginator[Any] = Paginator(pairs, PAIRS_A_PAGE)
    page = pages.get_page(request.GET.get("page"))
    rows = list(page.object_list)
    questions = run_queries.questions({row.a_problem for row in rows})
    context |= {
        "summary": summary,
        "gain": None if summary.pass_a is None or summary.pass_b is None else summary.pass_b - summary.pass_a,
        "fates": [(name, words, summary.counts[name]) for name, words in compare_queries.FATES.items()],
        "fate": fate,
        "page": page,
        "rows": [(row, questions.get(row.a_problem, "")) for row in rows],
        "columns": _columns(sort),
    }
    return render(request, "traces/compare.html", context)


def _run(params: QueryDict, name: str) -> Run | None:
    text = params.get(name, "")
    if not text:
        return None
    number = int(text) if text.isascii() and text.isdigit() and len(text) < 12 else -1
    found = Run.objects.select_related("engine", "problem_set").defer("problem_ids", "report").filter(pk=number).first()
    if found is None:
        raise Http404(_("There is no run %(id)s.") % {"id": text[:20]})
    return found


def _choices(*chosen: Run | None) -> list[Run]:
    """Runs to choose from, those over the set of the one that is chosen first."""
    runs = list(compare_queries.choices()[:MOST_CHOICES])
    known = {run.pk for run in runs}
    runs += [run for run in chosen if run is not None and run.pk not in known]
    sets = {run.problem_set_id for run in chosen if run is not None and run.problem_set_id is not None}
    return sorted(runs, key=lambda run: run.problem_set_id not in sets)


def _columns(sort: str) -> dict[str, dict[str, object]]:
    """Headings of sortable columns, each with the order that a click asks for: falling first, then rising."""
    return {
        name: {
            "words": words,
            "next": name if sort == f"-{name}" else f"-{name}",
            "state": {name: "ascending", f"-{name}": "descending"}.get(sort, ""),
        }
        for name, words in compare_queries.ORDERS.items()
    }
