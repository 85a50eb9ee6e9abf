"""The Django application that makes the room's management commands known. It holds no models."""

from django.apps import AppConfig


class WorkersConfig(AppConfig):
    name = "workers"
