"""What people see and what is stored. The Celery application is loaded with Django so that dispatch finds its broker."""

from webapp.celery import app as celery_app

__all__ = ["celery_app"]
