"""Exports: not served yet."""

from django.http import Http404, HttpRequest, HttpResponse


def export_new(request: HttpRequest, dataset_id: int, number: int) -> HttpResponse:
    raise Http404


def export(request: HttpRequest, export_id: int) -> HttpResponse:
    raise Http404


def download(request: HttpRequest, export_id: int, name: str) -> HttpResponse:
    raise Http404


def download_all(request: HttpRequest, export_id: int) -> HttpResponse:
    raise Http404
