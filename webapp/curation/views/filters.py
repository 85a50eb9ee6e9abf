"""Saved filters: a trace list's conditions under a name, shown above the list and as a page of their own."""

from urllib.parse import urlsplit

from django.contrib import messages
from django.http import HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST

from webapp.accounts.access import MemberRequest, role_required
from webapp.accounts.models import Role
from webapp.curation import actions, queries
from webapp.curation.forms import SavedFilterForm
from webapp.curation.models import SavedFilter


@require_http_methods(["GET", "HEAD", "POST"])
@role_required(Role.VIEWER)
def saved_filters(request: MemberRequest) -> HttpResponseBase:
    """The saved filters and a form that saves the current conditions (`query`, else those of the page around); POST saves."""
    if request.method == "POST":
        return _save(request)
    around = urlsplit(request.htmx.current_url or "").query if request.htmx else ""
    return _list(request, queries.known_conditions(request.GET.get("query", around)))


@require_POST
@role_required(Role.ANNOTATOR)
def delete_filter(request: MemberRequest, filter_id: int) -> HttpResponse:
    """Forget a saved filter."""
    saved = get_object_or_404(SavedFilter, pk=filter_id)
    actions.delete_filter(saved, by=request.user)
    current = queries.known_conditions(request.POST.get("query", ""))
    if request.htmx:
        return _list(request, current)
    messages.success(request, _("The filter “%(name)s” is deleted.") % {"name": saved.name})
    return redirect("curation:saved_filters")


@role_required(Role.ANNOTATOR)
def _save(request: MemberRequest) -> HttpResponse:
    form = SavedFilterForm(request.POST)
    query = queries.known_conditions(request.POST.get("query", ""))
    if form.is_valid() and not query:
        form.add_error(None, _("There is no condition to save: filter the list first."))
    if form.is_valid():
        try:
            actions.save_filter(name=form.cleaned_data["name"], query=query, by=request.user, at=timezone.now())
        except ValueError as error:
            form.add_error("name", str(error))
    if not form.is_valid():
        return _list(request, query, form=form, status=422)
    return _list(request, query) if request.htmx else redirect("curation:saved_filters")


def _list(
    request: MemberRequest, query: str, *, form: SavedFilterForm | None = None, status: int = 200
) -> HttpResponse:
    rows = queries.saved_filters()
    context = {
        "filters": [(row, row.query == query, actions.may_delete(row, request.user)) for row in rows],
        "query": query,
        "may_save": request.user.may(Role.ANNOTATOR),
        "form": form or SavedFilterForm(initial={"query": query}),
    }
    if request.htmx:
        return render(request, "curation/_saved_filters.html", context)  # htmx swaps nothing from a 4xx
    return render(request, "curation/saved_filters.html", context, status=status)
