"""Addresses of the whole application; each app brings its own."""

from django.urls import URLPattern, URLResolver, include, path

from webapp import health, home

urlpatterns: list[URLPattern | URLResolver] = [
    path("", home.home, name="home"),
    path("healthz", health.health, name="health"),
    path("account/", include("webapp.accounts.urls")),
    path("problems/", include("webapp.problems.urls")),
    path("engines/", include("webapp.engines.urls")),
    path("jobs/", include("webapp.jobs.urls")),
    path("", include("webapp.traces.urls")),  # /runs/ and /traces/
    path("", include("webapp.curation.urls")),  # /selections/ and /datasets/
]
