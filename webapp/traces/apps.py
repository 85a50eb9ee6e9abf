"""The Django application `traces`."""

from django.apps import AppConfig


class TracesConfig(AppConfig):
    name = "webapp.traces"
