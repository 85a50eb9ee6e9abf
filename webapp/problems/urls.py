"""Addresses of problem sets and problems (/problems/)."""

from django.urls import URLPattern, path

from webapp.problems import import_views, views

app_name = "problems"
urlpatterns: list[URLPattern] = [
    path("", views.sets, name="list"),
    path("sets/<int:set_id>/", views.problem_set, name="set"),
    path("import/", import_views.upload, name="import"),
    path("import/procedural/", import_views.procedural, name="import_procedural"),
    path("import/<uuid:job_id>/", import_views.preview, name="import_preview"),
    path("import/<uuid:job_id>/report/", import_views.report, name="import_report"),
    path("import/<uuid:job_id>/report.json", import_views.report_file, name="import_report_file"),
    path("<int:problem_id>/", views.detail, name="detail"),
]
