"""Addresses of runs (/runs/) and traces (/traces/)."""

from django.urls import URLPattern

app_name = "traces"
urlpatterns: list[URLPattern] = []
