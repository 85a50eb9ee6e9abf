"""Addresses of runs (/runs/) and traces (/traces/)."""

from django.urls import URLPattern, path

from webapp.traces import views

app_name = "traces"
urlpatterns: list[URLPattern] = [
    path("traces/", views.trace_list, name="list"),
    path("traces/<int:trace_id>/", views.detail, name="detail"),
    path("traces/<int:trace_id>/tokens/", views.tokens, name="tokens"),
    path("runs/<int:run_id>/problems/<int:problem_id>/", views.group, name="group"),
]
