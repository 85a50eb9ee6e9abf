"""Filters: not served yet."""

from django.http import Http404, HttpRequest, HttpResponse


def saved_filters(request: HttpRequest) -> HttpResponse:
    raise Http404


def delete_filter(request: HttpRequest, filter_id: int) -> HttpResponse:
    raise Http404
