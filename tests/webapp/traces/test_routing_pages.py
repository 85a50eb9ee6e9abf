"""The routing page of a trace and the card of an expert: figures, links, sampling, what is missing or broken."""

import itertools
from collections import Counter

import numpy as np
import pytest
from django.core.cache import cache
from django.urls import reverse

from tests.webapp.traces import factories as make
from webapp.traces import expert_cards, routing, routing_counting, routing_tables, tokenstore
from webapp.traces.models import Trace
from webapp.traces.records import StoredTokens
from webapp.traces.visible import Piece

pytestmark = pytest.mark.django_db
TEXT = "<think>" + "12 and 30, then some more. " * 30 + "</think>It is 42."


@pytest.fixture(autouse=True)
def empty_cache():
    cache.clear()


@pytest.fixture
def trace(db):
    return make.trace(make.run(engine=make.engine()), make.problem(), TEXT, tokens=True)


def page(member, trace, query="", **headers):
    return member.get(reverse("traces:routing", args=[trace.pk]) + query, **headers)


def test_counting_tells_think_from_answer(trace):
    found = routing_counting.count(trace, 2)
    whole = tokenstore.read(trace.store_path, trace.store_row_group, trace.store_tokens)
    think = next(s for s in trace.segments if s["kind"] == "think")
    answer = next(s for s in trace.segments if s["kind"] == "answer")
    n = whole.routing_count
    assert found.is_done
    assert found.tokens.tolist() == [
        think["token_end"] - think["token_start"], min(n, answer["token_end"]) - answer["token_start"],
        n - (think["token_end"] - think["token_start"]) - (min(n, answer["token_end"]) - answer["token_start"]),
    ]  # fmt: skip
    ids = whole.expert_ids[think["token_start"] : think["token_end"], 1]
    assert found.loads[0, 1].tolist() == np.bincount(ids.reshape(-1), minlength=make.EXPERTS).tolist()
    assert found.loads.sum() == n * len(make.LAYERS) * make.TOP_K
    assert np.diagonal(found.both).tolist() == found.loads[:, found.place].sum(axis=0).tolist()


def test_a_long_trace_is_counted_in_steps_with_progress(member, trace, monkeypatch):
    at_once = routing_counting.count(trace, None)
    cache.clear()
    monkeypatch.setattr(routing_counting, "WINDOW", 64)
    monkeypatch.setattr(routing_counting, "SECONDS", 0)
    first = page(member, trace)
    text = first.content.decode()
    assert f"Counted 64 of {trace.store_tokens} tokens" in text
    assert 'hx-trigger="load"' in text
    asked = 1
    while 'hx-trigger="load"' in page(member, trace, HTTP_HX_REQUEST="true").content.decode():
        asked += 1
    assert asked == -(-trace.store_tokens // 64) - 1
    in_steps = routing_counting.count(trace, None, seconds=0)
    assert in_steps.is_done
    assert (in_steps.loads == at_once.loads).all()
    assert (in_steps.both == at_once.both).all()


def test_page_shows_statistics_and_links_experts_to_the_trace(member, trace):
    answer = page(member, trace, "?layer=3")
    text = answer.content.decode()
    counting = answer.context["counting"]
    row = answer.context["layers"][2]
    assert row.is_chosen
    assert row.violation == routing.max_violation(counting.loads[:, 2].sum(axis=0))
    assert row.divergence == routing.divergence(counting.loads[0, 2], counting.loads[1, 2])
    assert row.against_run == pytest.approx(0, abs=1e-9)  # it is all of its run
    assert f"{row.divergence:.3f}" in text
    assert len(answer.context["experts"]) == make.EXPERTS
    link = f"{reverse('traces:detail', args=[trace.pk])}?overlay=gate&amp;layer=3&amp;expert={row.think[0].expert}"
    assert link in text
    assert answer["Vary"].count("HX-Request") == 1
    fragment = page(member, trace, HTTP_HX_REQUEST="true").content.decode()
    assert "<html" not in fragment


def test_a_layer_without_router_is_the_first_that_has_one(member, trace):
    for query in ("?layer=77", "?layer=x", "?layer=-1", ""):
        assert page(member, trace, query).context["counting"].layer == make.LAYERS[0]


def test_without_routing_or_store_it_says_so(member, trace):
    bare = make.trace(trace.run, make.problem("b"), "no tokens")
    plain = make.trace(trace.run, make.problem("c"), "<think>a</think>b", tokens="plain")
    for one in (bare, plain):
        assert "Nothing is known of the routing" in page(member, one).content.decode()
    Trace.objects.filter(pk=trace.pk).update(store_path="runs/9/gone.parquet")
    assert "no shard" in page(member, trace).content.decode()
    assert member.get(reverse("traces:routing", args=[99999])).status_code == 404


def test_trace_page_leads_there(member, trace):
    assert (
        reverse("traces:routing", args=[trace.pk])
        in member.get(reverse("traces:detail", args=[trace.pk])).content.decode()
    )


# -- an expert's card --------------------------------------------------------------------------------------------------


def by_hand(traces, layer, expert):
    taken, seen = Counter(), Counter()
    for trace in traces:
        whole = tokenstore.read(trace.store_path, trace.store_row_group, trace.store_tokens)
        for token, ids in zip(
            whole.token_id[: whole.routing_count], whole.expert_ids[:, make.LAYERS.index(layer)], strict=False
        ):
            seen[int(token)] += 1
            taken[int(token)] += expert in ids.tolist()
    return +taken, seen


def test_card_counts_what_the_expert_takes(trace):
    problem = make.problem("b")
    others = [make.trace(trace.run, problem, TEXT[n:], sample_index=n, tokens=True) for n in range(2)]
    meta = expert_cards.first_meta(trace.run)
    card = expert_cards.card(trace.run, meta, 2, 5)
    taken, seen = by_hand([trace, *others], 2, 5)
    assert (card.taken, card.kinds, card.traces) == (taken.total(), len(taken), 3)
    assert card.tokens == seen.total()
    assert [kind.taken for kind in card.rows] == sorted(taken.values(), reverse=True)[: expert_cards.MOST]
    for kind in card.rows:
        assert kind.taken == taken[kind.token_id]
        assert kind.rate == pytest.approx(100 * taken[kind.token_id] / seen[kind.token_id])
        assert kind.share == pytest.approx(100 * kind.taken / card.taken)
        for example in kind.examples:
            whole = tokenstore.read(*_place(example.trace_id))
            assert whole.token_id[example.token] == kind.token_id
            assert 5 in whole.expert_ids[example.token, 1].tolist()


def test_card_by_the_share_of_a_tokens_occurrences(member, trace):
    taken, seen = by_hand([trace], 2, 5)
    answer = member.get(reverse("traces:expert", args=[trace.run_id]), {"layer": 2, "expert": 5, "sort": "rate"})
    expected = sorted((n / seen[token] for token, n in taken.items() if n >= expert_cards.LEAST_FOR_RATE), reverse=True)
    assert expected
    assert [kind.rate / 100 for kind in answer.context["card"].rows] == pytest.approx(expected[: expert_cards.MOST])


def test_white_space_is_shown_as_marks():
    made = expert_cards.Kind(7, examples=[expert_cards.Example(1, 0, [], [Piece("\n  ")], [], 0.5, "/")])
    assert [piece.text for piece in made.text] == ["LF", "␣", "␣"]
    made = expert_cards.Kind(7, examples=[expert_cards.Example(1, 0, [], [Piece(" the")], [], 0.5, "/")])
    assert made.text == [Piece(" the")]


def _place(trace_id):
    trace = Trace.objects.get(pk=trace_id)
    return trace.store_path, trace.store_row_group, trace.store_tokens


def test_sample_is_bounded_however_long_the_run(trace, django_assert_max_num_queries):
    stored = StoredTokens(trace.store_path, trace.store_row_group, trace.store_tokens)
    rows = [
        Trace(
            run=trace.run, problem=trace.problem, sample_index=n, created_at=make.NOW, store_path=stored.path,
            store_row_group=stored.row_group, store_tokens=stored.count,
        )
        for n in range(1, 500)
    ]  # fmt: skip
    Trace.objects.bulk_create(rows)
    with django_assert_max_num_queries(expert_cards.TRACES + 1):
        found = expert_cards.sample(trace.run)
    assert len(found) == expert_cards.TRACES
    assert found[0].pk == trace.pk
    assert found[-1].pk == rows[-1].pk
    steps = {b.pk - a.pk for a, b in itertools.pairwise(found)}
    assert max(steps) - min(steps) <= 1


def test_expert_page(member, trace):
    address = reverse("traces:expert", args=[trace.run_id])
    answer = member.get(address, {"layer": 2, "expert": 5})
    text = answer.content.decode()
    card = answer.context["card"]
    assert f"{card.tokens:,} tokens of 1 trace." in text
    assert "Expert 5 of layer 2" in text
    assert card.rows[0].examples[0].link.replace("&", "&amp;") in text
    assert f"&amp;token={card.rows[0].examples[0].token}" in text
    assert 'rel="prev"' in text
    assert member.get(address).context["card"].layer == make.LAYERS[0]
    for query in ({"layer": 9}, {"layer": 2, "expert": make.EXPERTS}):
        assert member.get(address, query).status_code == 404
    assert member.get(reverse("traces:expert", args=[99999])).status_code == 404


def test_expert_page_without_routing_or_store(member, trace):
    run = make.run("bare")
    make.trace(run, make.problem("b"), "no tokens")
    assert "Nothing is known of the routing" in member.get(reverse("traces:expert", args=[run.pk])).content.decode()
    Trace.objects.filter(pk=trace.pk).update(store_path="runs/9/gone.parquet")
    assert "no shard" in member.get(reverse("traces:expert", args=[trace.run_id])).content.decode()


def test_hostile_text_stays_text(member):
    run = make.run()
    make.trace(run, make.problem(), "<think><script>alert(1)</script>\u202e x</think>y " * 3, tokens=True)
    seen = ""
    for expert in range(make.EXPERTS):
        seen += (
            member.get(reverse("traces:expert", args=[run.pk]), {"expert": expert}).content.decode().split("<main")[1]
        )
    assert "<script>alert" not in seen
    assert "\u202e" not in seen
    assert "script" in seen


def test_experts_of_a_trace_are_listed_with_their_shares(trace):
    counting = routing_counting.count(trace, 1)
    rows = routing_tables.expert_rows(trace, counting)
    assert sum(row.tokens for row in rows) == int(counting.tokens.sum()) * make.TOP_K
    assert sum(row.think for row in rows) == pytest.approx(100 * make.TOP_K)
    pairs = routing_tables.pair_rows(trace, counting)
    assert all(row.pair.tokens >= routing.LEAST_TOGETHER for row in pairs)
