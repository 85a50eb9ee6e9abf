"""The trace list's filters: each alone, several together, and what they make of nonsense."""

import pytest
from django.http import QueryDict

from tests.webapp.traces import factories as make
from webapp.traces import actions, queries
from webapp.traces.models import Trace


@pytest.fixture
def traces(db):
    """Five traces in two runs; the names below are their primary keys' places."""
    maths, words = make.problem_set("maths"), make.problem_set("words")
    tiny, blind = make.engine("tiny"), make.engine("blind", can_routing_ids=False)
    first, second = make.run("first", engine=tiny), make.run("second", kind="import")
    third = make.run("third", engine=blind)
    sums, rhymes = make.problem("What is 12+30?", of=maths), make.problem("Rhyme on moon", "", of=words)
    made = {
        "good": make.trace(first, sums, "<think>twelve and thirty</think>42", tokens=True),
        "cut": make.trace(first, sums, "<think>twelve and", sample_index=1, finish="length"),
        "field": make.trace(second, rhymes, "June", reasoning="what sounds like MOON", finish=""),
        "bare": make.trace(second, rhymes, "100% spoon_", sample_index=1),
        "blind": make.trace(third, rhymes, "noon", tokens="plain"),
    }
    make.verdict(made["good"], "correct")
    make.verdict(made["cut"], "undecidable")
    make.verdict(made["field"], "wrong")
    actions.set_current_label(made["good"].pk, value="keep", rating=5, tags=" clean short ")
    actions.set_current_label(made["cut"].pk, value="reject", rating=2, tags=" cut ")
    return {name: Trace.objects.get(pk=trace.pk) for name, trace in made.items()}


def names(traces, query):
    found = set(queries.filtered(QueryDict(query)).values_list("pk", flat=True))
    return {name for name, trace in traces.items() if trace.pk in found}


ALL = {"good", "cut", "field", "bare", "blind"}


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", ALL),
        ("set={maths}", {"good", "cut"}),
        ("run={second}", {"field", "bare"}),
        ("engine={tiny}", {"good", "cut"}),
        ("problem={sums}", {"good", "cut"}),
        ("verdict=correct", {"good"}),
        ("verdict=correct&verdict=undecidable", {"good", "cut"}),
        ("verdict=unscored", {"bare", "blind"}),
        ("label=keep", {"good"}),
        ("label=none", {"field", "bare", "blind"}),
        ("label=none&label=reject", {"cut", "field", "bare", "blind"}),
        ("rating=3", {"good"}),
        ("rating=1", {"good", "cut"}),
        ("tags=clean", {"good"}),
        ("tags=short+clean", {"good"}),
        ("tags=cle", set()),
        ("finding=unclosed_think", {"cut"}),
        ("finding=separate_field&finding=unclosed_think", {"cut", "field"}),
        ("finding=none", {"good"}),
        ("finding=none&finding=truncated", {"good", "cut"}),
        ("finish=length", {"cut"}),
        ("finish=none", {"field"}),
        ("finish=stop&finish=length", {"good", "cut", "bare", "blind"}),
        ("routing=yes", {"good"}),
        ("routing=no", {"cut", "field", "bare", "blind"}),
        ("text=TWELVE", {"good", "cut"}),
        ("text=moon", {"field", "bare", "blind"}),
        ("text=moon&text_in=reasoning", {"field"}),
        ("text=moon&text_in=completion", set()),
        ("text_in=prompt", ALL),
        ("text=100%25", {"bare"}),
        ("text=n_", {"bare"}),
        ("think_min=1", {"good", "cut", "field"}),
        ("think_max=0", {"bare", "blind"}),
        ("answer_min=3&answer_max=4", {"field", "blind"}),
        ("tokens_min=1", {"good", "blind"}),
        ("verdict=&set=&text=&think_min=&sort=think&page=2&unheard=of", ALL),
        ("verdict=correct&text=nothing+like+it", set()),
    ],
)
def test_filter(traces, query, expected):
    known = {
        "maths": traces["good"].problem.problem_set_id,
        "second": traces["field"].run_id,
        "tiny": traces["good"].run.engine_id,
        "sums": traces["good"].problem_id,
    }
    assert names(traces, query.format(**known)) == expected


@pytest.mark.parametrize(
    "query",
    [
        "set=999", "run=abc", "run='; drop table", "verdict=maybe", "label=all", "rating=9", "rating=x", "finding=odd",
        "text=a%00b", "text=" + "x" * 501, "text_in=metadata", "think_min=-1", "think_min=1e9999", "tokens_max=99999999999999999999",
        "answer_min=1.5", "tags=%3Cb%3E", "routing=perhaps", "problem=x", "finish=odd",
    ],
)  # fmt: skip
def test_nonsense_finds_nothing_rather_than_everything(traces, query):
    assert names(traces, query) == set()


def test_a_trace_with_several_findings_is_there_once(traces):
    query = QueryDict("finding=unclosed_think&finding=truncated&finding=empty_answer")
    assert queries.filtered(query).count() == 1


@pytest.mark.parametrize("sort", [*queries.ORDERS, "", "pk", "problem__answer", "?"])
@pytest.mark.parametrize("sign", ["", "-"])
def test_orders(traces, sort, sign):
    rows = list(queries.ordered(Trace.objects.all(), sign + sort))
    assert len(rows) == 5
    if sort not in queries.ORDERS:
        assert rows == list(Trace.objects.order_by("-pk"))
        return
    values = [getattr(row, queries.ORDERS[sort][0]) for row in rows]
    known = [value for value in values if value is not None]
    assert values[: len(known)] == sorted(known, reverse=bool(sign))  # what is not known comes last either way
