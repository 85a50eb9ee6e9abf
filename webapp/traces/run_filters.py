"""Which runs: the declared filters of the list of runs, whose state is the address."""

import django_filters as df
from django.db.models import QuerySet
from django.utils.translation import gettext_lazy as _

from webapp.engines.models import Engine
from webapp.jobs.models import JobState
from webapp.problems.models import ProblemSet
from webapp.traces.models import Run, RunKind


class RunFilter(df.FilterSet):  # type: ignore[misc]  # django-filter has no types
    """Name, kind, engine, problem set, and the state of the job that fills the run."""

    name = df.CharFilter(label=_("Name"), lookup_expr="icontains")
    kind = df.ChoiceFilter(label=_("Kind"), choices=RunKind.choices, empty_label=_("any"))
    engine = df.ModelChoiceFilter(
        label=_("Engine"), queryset=lambda _request: _named(Engine.objects.all()), empty_label=_("any")
    )
    set = df.ModelChoiceFilter(
        label=_("Problem set"),
        field_name="problem_set",
        queryset=lambda _request: _named(ProblemSet.objects.all()),
        empty_label=_("any"),
    )
    state = df.ChoiceFilter(label=_("State"), field_name="job__state", choices=JobState.choices, empty_label=_("any"))

    class Meta:
        model = Run
        fields: list[str] = []


def _named(rows: QuerySet) -> QuerySet:  # type: ignore[type-arg]  # engines or sets
    return rows.only("name").order_by("name")
