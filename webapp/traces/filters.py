"""Which traces: the declared filters of the trace list, whose state is the address.

Left out: ordering (queries.py) and saving a filter under a name (webapp/curation). Every filter is plain SQL that SQLite and
PostgreSQL both run, and none of them may list a trace twice.
"""

from typing import Any

import django_filters as df
from django import forms
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.http import QueryDict
from django.utils.translation import gettext_lazy as _

from webapp.engines.models import Engine
from webapp.problems.models import ProblemSet
from webapp.tags import as_list, canonical
from webapp.traces.models import CurrentVerdict, Finding, FindingKind, FinishReason, LabelValue, Run, Trace

TEXT_FIELDS = {"completion": _("completion"), "reasoning": _("reasoning field"), "prompt": _("prompt")}
NONE = "none"  # in the address: no label, no finding, no recorded finish reason


def _label(queryset: QuerySet[Trace], _name: str, values: list[str]) -> QuerySet[Trace]:
    return queryset.filter(label__in=["" if value == NONE else value for value in values]) if values else queryset


def _finish(queryset: QuerySet[Trace], _name: str, values: list[str]) -> QuerySet[Trace]:
    return (
        queryset.filter(finish_reason__in=["" if value == NONE else value for value in values]) if values else queryset
    )


def _finding(queryset: QuerySet[Trace], _name: str, values: list[str]) -> QuerySet[Trace]:
    if not values:
        return queryset
    findings = Finding.objects.filter(trace=OuterRef("pk"))
    wanted = Q(Exists(findings.filter(kind__in=[value for value in values if value != NONE])))
    if NONE in values:
        wanted |= Q(~Exists(findings))
    return queryset.filter(wanted)


def _tags(queryset: QuerySet[Trace], _name: str, value: str) -> QuerySet[Trace]:
    for tag in as_list(value):
        queryset = queryset.filter(tags__contains=f" {tag} ")
    return queryset


def _routing(queryset: QuerySet[Trace], _name: str, value: str) -> QuerySet[Trace]:
    # tokens alone do not make routing: the engine says whether its traces carry it
    has = ~Q(store_path="") & (Q(run__engine=None) | Q(run__engine__can_routing_ids=True))
    return queryset.filter(has if value == "yes" else ~has) if value else queryset


class TagsField(forms.CharField):
    """Words separated by spaces or commas, in the stored form of tags."""

    def clean(self, value: Any) -> str:
        text = super().clean(value)
        try:
            return canonical(text) if text else ""
        except ValueError as error:
            raise forms.ValidationError(str(error)) from error


class TagsFilter(df.CharFilter):  # type: ignore[misc]  # django-filter has no types
    field_class = TagsField


def _few(choices: list[tuple[str, Any]], **kwargs: Any) -> df.MultipleChoiceFilter:
    return df.MultipleChoiceFilter(choices=choices, widget=forms.CheckboxSelectMultiple, **kwargs)


def _least(field: str, label: Any) -> df.NumberFilter:
    return df.NumberFilter(field, lookup_expr="gte", label=label, min_value=0, max_value=2**31 - 1, decimal_places=0)


def _most(field: str, label: Any) -> df.NumberFilter:
    return df.NumberFilter(field, lookup_expr="lte", label=label, min_value=0, max_value=2**31 - 1, decimal_places=0)


class TraceFilter(df.FilterSet):  # type: ignore[misc]  # django-filter has no types
    """The names are those in the address; an unknown name is ignored, a value that makes no sense is an error in words."""

    set = df.ModelChoiceFilter(
        field_name="problem__problem_set",
        queryset=ProblemSet.objects.order_by("name"),
        label=_("Problem set"),
        empty_label=_("any"),
    )
    run = df.ModelChoiceFilter(
        queryset=Run.objects.order_by("-created_at", "-pk"), label=_("Run"), empty_label=_("any")
    )
    engine = df.ModelChoiceFilter(
        field_name="run__engine", queryset=Engine.objects.order_by("name"), label=_("Engine"), empty_label=_("any")
    )
    problem = df.NumberFilter(
        "problem_id", widget=forms.HiddenInput, min_value=0, max_value=2**63 - 1, decimal_places=0
    )
    text = df.CharFilter(method="in_text", label=_("Text contains"), max_length=500)
    text_in = df.ChoiceFilter(
        method="keep",
        choices=list(TEXT_FIELDS.items()),
        label=_("In"),
        empty_label=_("completion, reasoning or prompt"),
    )
    verdict = _few(list(CurrentVerdict.choices), label=_("Verdict"))
    label = _few([*LabelValue.choices, (NONE, _("no label"))], method=_label, label=_("Label"))
    rating = df.ChoiceFilter(
        lookup_expr="gte", choices=[(n, str(n)) for n in range(1, 6)], label=_("Rating at least"), empty_label=_("any")
    )
    tags = TagsFilter(method=_tags, label=_("Tags (all of)"), max_length=200)
    finish = _few(
        [(value or NONE, words) for value, words in FinishReason.choices], method=_finish, label=_("How it ended")
    )
    finding = _few([*FindingKind.choices, (NONE, _("no finding"))], method=_finding, label=_("Finding"))
    routing = df.ChoiceFilter(
        method=_routing,
        choices=[("yes", _("with routing")), ("no", _("without"))],
        label=_("Expert routing"),
        empty_label=_("any"),
    )
    think_min = _least("think_chars", _("Think, characters from"))
    think_max = _most("think_chars", _("to"))
    answer_min = _least("answer_chars", _("Answer, characters from"))
    answer_max = _most("answer_chars", _("to"))
    tokens_min = _least("completion_tokens", _("Completion, tokens from"))
    tokens_max = _most("completion_tokens", _("to"))

    class Meta:
        model = Trace
        fields: list[str] = []

    def __init__(self, data: QueryDict | None = None, **kwargs: Any) -> None:
        """Take an address; what it leaves empty asks for nothing."""
        asked = QueryDict(mutable=True)
        for name, values in (data or QueryDict()).lists():
            asked.setlist(name, [value for value in values if value])
        super().__init__(asked, **kwargs)

    def in_text(self, queryset: QuerySet[Trace], _name: str, value: str) -> QuerySet[Trace]:
        """Traces with `value` in the chosen field, or in any of them; letter case does not matter."""
        chosen = self.form.cleaned_data.get("text_in")
        wanted = Q()
        for field in [chosen] if chosen else TEXT_FIELDS:
            wanted |= Q(**{f"{field}__icontains": value})
        return queryset.filter(wanted)

    @staticmethod
    def keep(queryset: QuerySet[Trace], _name: str, _value: str) -> QuerySet[Trace]:
        """`text_in` only says where `text` looks."""
        return queryset

    @property
    def qs(self) -> QuerySet[Trace]:
        """The traces asked for; none where a value makes no sense, so that nothing is taken for what it is not."""
        if not self.form.is_valid():
            nothing: QuerySet[Trace] = self.queryset.none()
            return nothing
        found: QuerySet[Trace] = super().qs
        return found
