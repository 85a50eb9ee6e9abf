"""The Celery application: settings only. Tasks live in `workers.tasks`, which only a worker imports."""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "webapp.settings")

app = Celery("sluice")
app.config_from_object("django.conf:settings", namespace="CELERY")
