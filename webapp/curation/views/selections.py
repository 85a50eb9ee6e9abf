"""Selections: not served yet."""

from django.http import Http404, HttpRequest, HttpResponse


def selections(request: HttpRequest) -> HttpResponse:
    raise Http404


def selection_new(request: HttpRequest) -> HttpResponse:
    raise Http404


def selection_preview(request: HttpRequest, job_id: str) -> HttpResponse:
    raise Http404


def selection(request: HttpRequest, selection_id: int) -> HttpResponse:
    raise Http404
