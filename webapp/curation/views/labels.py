"""Labels: not served yet."""

from django.http import Http404, HttpRequest, HttpResponse


def next_trace(request: HttpRequest) -> HttpResponse:
    raise Http404


def label(request: HttpRequest, trace_id: int) -> HttpResponse:
    raise Http404
