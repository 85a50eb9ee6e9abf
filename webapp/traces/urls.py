"""Addresses of runs (/runs/) and traces (/traces/)."""

from django.urls import URLPattern, path

from webapp.traces import (
    compare_views,
    group_views,
    import_views,
    replay_views,
    routing_views,
    run_views,
    standalone_views,
    token_views,
    views,
)

app_name = "traces"
urlpatterns: list[URLPattern] = [
    path("traces/", views.trace_list, name="list"),
    path("traces/import/", import_views.upload, name="import"),
    path("traces/import/<uuid:job_id>/", import_views.preview, name="import_preview"),
    path("traces/import/<uuid:job_id>/report/", import_views.report, name="import_report"),
    path("traces/import/<uuid:job_id>/report.json", import_views.report_file, name="import_report_file"),
    path("traces/<int:trace_id>/", views.detail, name="detail"),
    path("traces/<int:trace_id>/file/", standalone_views.standalone, name="standalone"),
    path("traces/<int:trace_id>/tokens/", token_views.tokens, name="tokens"),
    path("traces/<int:trace_id>/map/", token_views.trace_map, name="map"),
    path("traces/<int:trace_id>/routing/", routing_views.trace_routing, name="routing"),
    path("traces/<int:trace_id>/replay/", replay_views.replay, name="replay"),
    path("traces/<int:trace_id>/replay/state/", replay_views.replay_state, name="replay_state"),
    path("runs/", run_views.runs, name="runs"),
    path("runs/new/", run_views.submit, name="submit"),
    path("runs/<int:run_id>/", run_views.run, name="run"),
    path("runs/<int:run_id>/live/", run_views.run_fragment, name="run_fragment"),
    path("runs/<int:run_id>/replay/", replay_views.run_replay, name="run_replay"),
    path("runs/<int:run_id>/verify/", run_views.verify, name="run_verify"),
    path("runs/<int:run_id>/experts/", routing_views.expert, name="expert"),
    path("runs/<int:run_id>/charts/<slug:name>.<slug:form>", routing_views.run_chart, name="run_chart"),
    path("runs/<int:run_id>/problems/<int:problem_id>/", group_views.group, name="group"),
    path("runs/compare/", compare_views.compare, name="compare"),
    path("traces/diff/", group_views.diff, name="diff"),
]
