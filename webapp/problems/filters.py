"""Which problems of a set: the declared filters of its page, whose state is the address."""

import django_filters as df
from django.db.models import Q, QuerySet
from django.utils.translation import gettext_lazy as _

from webapp.problems.models import Problem, Verifier
from webapp.tags import canonical


def _text(queryset: QuerySet[Problem], _name: str, value: str) -> QuerySet[Problem]:
    return queryset.filter(Q(prompt__icontains=value) | Q(answer__icontains=value))


def _tag(queryset: QuerySet[Problem], _name: str, value: str) -> QuerySet[Problem]:
    try:
        wanted = canonical(value).split()
    except ValueError:  # not a tag, so no problem carries it
        return queryset.none()
    for tag in wanted:
        queryset = queryset.filter(tags__contains=f" {tag} ")
    return queryset


class ProblemFilter(df.FilterSet):  # type: ignore[misc]  # django-filter has no types
    """Text in question or gold answer, a tag, a verifier."""

    q = df.CharFilter(label=_("Text"), method=_text)
    tag = df.CharFilter(label=_("Tag"), method=_tag)
    verifier = df.ChoiceFilter(label=_("Verifier"), choices=Verifier.choices, empty_label=_("any"))
