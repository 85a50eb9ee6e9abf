"""Datasets: not served yet."""

from django.http import Http404, HttpRequest, HttpResponse


def datasets(request: HttpRequest) -> HttpResponse:
    raise Http404


def dataset(request: HttpRequest, dataset_id: int) -> HttpResponse:
    raise Http404


def version(request: HttpRequest, dataset_id: int, number: int) -> HttpResponse:
    raise Http404


def manifest(request: HttpRequest, dataset_id: int, number: int) -> HttpResponse:
    raise Http404
