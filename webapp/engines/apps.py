"""The Django application `engines`."""

from django.apps import AppConfig


class EnginesConfig(AppConfig):
    name = "webapp.engines"
