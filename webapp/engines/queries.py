"""Reads of engines. Runs lie above engines in the flow: their counts come through the relation."""

from typing import Any

from django.db.models import Count, Q, QuerySet

from webapp.engines.models import Engine

RUNS_SHOWN = 20


def listed() -> QuerySet[Engine]:
    """All engines with the number of their runs, by name."""
    return Engine.objects.annotate(run_count=Count("runs")).order_by("name")


def runs_of(engine: Engine) -> list[dict[str, Any]]:
    """The newest runs of an engine: pk, name, created_at, and their traces by newest verdict."""
    values = ("correct", "wrong", "undecidable", "unscored")
    rows = Engine.objects.filter(pk=engine.pk, runs__isnull=False)
    counts = {value: Count("runs__traces", filter=Q(runs__traces__verdict=value)) for value in values}
    found: Any = rows.values("runs", "runs__name", "runs__created_at").annotate(traces=Count("runs__traces"), **counts)
    return [
        {"pk": row["runs"], "name": row["runs__name"], "created_at": row["runs__created_at"], "traces": row["traces"]}
        | {value: row[value] for value in values}
        for row in found.order_by("-runs__created_at", "-runs")[:RUNS_SHOWN]
    ]
