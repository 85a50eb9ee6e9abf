"""The samples of one problem side by side, and two samples word by word."""

from typing import Any

from django.core.paginator import Paginator
from django.http import Http404, HttpResponse, QueryDict
from django.shortcuts import get_object_or_404, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from webapp.accounts.access import MemberRequest, role_required
from webapp.accounts.models import Role, User
from webapp.problems.models import Problem
from webapp.tags import as_list
from webapp.traces import group_queries, worddiff
from webapp.traces.group_figures import Row, reads_as, together
from webapp.traces.models import CurrentVerdict, Run, Trace
from webapp.traces.visible import pieces

SAMPLES_A_PAGE = 32
CLUSTERS_SHOWN = 12
MOST_PREFIX = 60_000  # characters of a common beginning that the diff unfolds


@require_safe
@role_required(Role.VIEWER)
def group(request: MemberRequest, run_id: int, problem_id: int) -> HttpResponse:
    """All samples of one problem in one run; the address holds filter, order and page."""
    run = get_object_or_404(Run.objects.select_related("engine").defer("problem_ids", "report"), pk=run_id)
    problem = get_object_or_404(Problem.objects.select_related("problem_set"), pk=problem_id)
    rows = group_queries.rows(run_id, problem_id)
    if not rows:
        raise Http404(_("Run %(run)s has no sample of problem %(problem)s.") % {"run": run_id, "problem": problem_id})
    asked = bool(problem.prompt or problem.messages)  # else it only gathers samples whose question is not known
    ways = group_queries.ways(run_id, problem_id, rows) if asked and len(rows) > 1 else None
    places = {pk: place.at for pk, place in ways.places.items() if place} if ways else {}
    wanted = _wanted(request.GET)
    page = Paginator(wanted.of(rows, places), SAMPLES_A_PAGE).get_page(request.GET.get("page"))
    figures = together(rows)
    samples = _samples(list(page.object_list), ways, request.user)
    by_answer = {cluster.answer: cluster for cluster in figures.clusters}
    context: dict[str, Any] = {
        "run": run,
        "problem": problem,
        "asked": asked,
        "total": len(rows),
        "is_cut": len(rows) == group_queries.MOST_ROWS,
        "page": page,
        "samples": [(sample, by_answer.get(sample["reads_as"])) for sample in samples],
        "verdicts": {value: sum(row.verdict == value for row in rows) for value in _present(rows)},
        "wanted": wanted,
        "orders": _orders(wanted.sort, with_parting=ways is not None),
        "figures": figures,
        "clusters": figures.clusters[:CLUSTERS_SHOWN],
        "more_clusters": len(figures.clusters) - CLUSTERS_SHOWN,
        "ways": ways,
        "may_label": request.user.may(Role.ANNOTATOR),
    }
    return render(request, "traces/group.html", context)


def _wanted(params: QueryDict) -> group_queries.Wanted:
    verdict, sort = params.get("verdict", ""), params.get("sort", "")
    return group_queries.Wanted(
        verdict=verdict if verdict in CurrentVerdict.values else "",
        answer=reads_as(params.get("answer", "")),
        sort=sort if sort.removeprefix("-") in group_queries.ORDERS else "",
    )


def _present(rows: list[Row]) -> list[str]:
    order = ("correct", "wrong", "undecidable", "unscored")
    found = {row.verdict for row in rows}
    return [value for value in order if value in found]


def _orders(sort: str, *, with_parting: bool) -> list[dict[str, object]]:
    """The orders to choose from; the one in use turns round when it is chosen again."""
    current = sort or "sample"
    return [
        {
            "words": words,
            "next": f"-{name}" if current == name else name,
            "is_current": current.removeprefix("-") == name,
            "is_falling": current == f"-{name}",
        }
        for name, words in group_queries.ORDERS.items()
        if name != "parting" or with_parting
    ]


def _samples(rows: list[Row], ways: group_queries.Ways | None, user: User) -> list[dict[str, Any]]:
    """What the page shows of each sample, in the order of `rows`."""
    read = group_queries.page_of(rows)
    out = []
    for row in rows:
        found = read[row.pk]
        newest = max(found.trace.labels.all(), key=lambda label: label.pk, default=None)
        own = newest is not None and newest.created_by_id == user.pk
        out.append(
            {
                "row": row,
                "trace": found.trace,
                "answer": found.answer,
                "of": found.of,
                "reads_as": reads_as(row.answer),
                "is_compared": ways is not None and row.pk in ways.places,
                "place": ways.places.get(row.pk) if ways else None,
                "newest": newest,
                "tags": " ".join(as_list(newest.tags)) if newest else "",
                "note": newest.note if newest is not None and own else "",
            }
        )
    return out


@require_safe
@role_required(Role.VIEWER)
def diff(request: MemberRequest) -> HttpResponse:
    """Two traces word by word: `?s=12&s=15`."""
    ids = [int(text) for text in request.GET.getlist("s") if text.isascii() and text.isdigit() and len(text) < 12]
    if len(set(ids)) != 2:
        return render(request, "traces/diff_refused.html", {"chosen": len(set(ids))}, status=400)
    traces = group_queries.pair(ids)
    if len(traces) != 2:
        missing = next(pk for pk in ids if pk not in {trace.pk for trace in traces})
        raise Http404(_("There is no trace %(id)s.") % {"id": missing})
    left, right = (group_queries.generated(trace) for trace in traces)
    compared = worddiff.compare(left, right)
    prefix = left[: compared.begin]
    sides = zip(traces, (compared.left, compared.right), (len(left), len(right)), strict=True)
    context = {
        "diff": compared,
        "sides": [_side(trace, side, chars, compared) for trace, side, chars in sides],
        "prefix": pieces(prefix[-MOST_PREFIX:]),
        "prefix_cut": max(0, len(prefix) - MOST_PREFIX),
        "is_same_problem": traces[0].problem_id == traces[1].problem_id,
        "is_same_run": traces[0].run_id == traces[1].run_id,
        "most_words": worddiff.MOST_WORDS,
        "first": traces[0],
    }
    return render(request, "traces/diff.html", context)


def _side(trace: Trace, side: worddiff.Side, chars: int, compared: worddiff.WordDiff) -> dict[str, Any]:
    ends = not compared.equal and compared.at == chars
    return {
        "trace": trace,
        "side": side,
        "chars": chars,
        "ends": ends,
        "token": None if ends or compared.equal else group_queries.parting_token(trace, compared.at),
    }
