"""Addresses of engines (/engines/)."""

from django.urls import URLPattern, path

from webapp.engines import views

app_name = "engines"
urlpatterns: list[URLPattern] = [
    path("", views.engine_list, name="list"),
    path("<int:engine_id>/", views.detail, name="detail"),
]
