"""Trainers and what they train on: plain torch libraries that know neither Django nor Celery."""
