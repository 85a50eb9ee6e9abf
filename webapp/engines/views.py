"""The pages of engines: what can answer, what it is made of, what it can and cannot do."""

from django.http import HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_safe

from webapp.accounts.access import MemberRequest, role_required
from webapp.accounts.models import Role
from webapp.engines import queries, words


@require_safe
@role_required(Role.VIEWER)
def engine_list(request: MemberRequest) -> HttpResponse:
    """All engines with their main facts."""
    context = {"engines": queries.listed(), "may_ask": request.user.may(Role.EDITOR)}
    return render(request, "engines/list.html", context)


@require_safe
@role_required(Role.VIEWER)
def detail(request: MemberRequest, engine_id: int) -> HttpResponse:
    """One engine: facts, what it can and cannot do, example prompts, its newest runs."""
    engine = get_object_or_404(queries.listed(), pk=engine_id)
    returns = [engine.can_logprobs, engine.can_routing_ids, engine.can_routing_weights]
    context = {
        "engine": engine,
        "rows": words.rows(engine.facts),
        "returns_text_only": not any(returns),
        "runs": queries.runs_of(engine),
        "may_ask": request.user.may(Role.EDITOR),
    }
    return render(request, "engines/detail.html", context)
