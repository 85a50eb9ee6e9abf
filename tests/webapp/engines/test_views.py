"""The pages of engines: facts, words, examples that lead to the prompt form, runs."""

import pytest
from django.urls import reverse

from tests.webapp.traces import factories

FACTS = {
    "architecture": "DeepSeek-V3", "parameters": 3254112, "layers": 6, "router_layers": [1, 2, 3], "n_routed_experts": 16,
    "n_shared_experts": 1, "top_k": 4, "n_group": 4, "topk_group": 2, "context": 1024,
}  # fmt: skip


@pytest.fixture
def engine(db):
    examples = [
        {"family": "gcd", "prompt": "gcd of 12 and 18?", "note": "two numbers"},
        {"family": "sum", "prompt": "1 + 2 =", "note": ""},
    ]
    return factories.engine(
        facts=FACTS, description="Can add.\n\nCannot talk.", examples=examples, checkpoint_hash="ab" * 32
    )


@pytest.fixture
def member(client, editor):
    client.force_login(editor)
    return client


def test_the_list_shows_each_engine_with_its_size(member, engine):
    text = member.get(reverse("engines:list")).content.decode()
    assert "3,254,112 parameters, 6 layers, top 4 of 16 experts" in text


def test_the_list_says_that_a_dense_model_has_no_experts(member, db):
    factories.engine("dense", facts={"parameters": 7, "layers": 2, "n_routed_experts": 0})
    assert "7 parameters, 2 layers, no experts" in member.get(reverse("engines:list")).content.decode()


def test_the_page_sets_the_cache_against_other_kinds_of_attention(member, engine):
    engine.facts |= {
        "cache_bytes_per_token": 640,
        "cache_bytes_per_token_mha": 2048,
        "cache_bytes_per_token_gqa": 1024,
        "gqa_groups": 2,
    }
    engine.facts |= {"scoring_func": "sigmoid", "topk_method": "noaux_tc", "correction_bias": True, "mtp_depth": 0}
    engine.save()
    text = member.get(reverse("engines:detail", args=[engine.pk])).content.decode()
    for words in (
        "640 bytes a token",
        "3.2 times as much",
        "were it GQA-2",
        "sigmoid of each expert",
        "Multi-token prediction",
    ):
        assert words in text


def test_an_empty_list_says_how_to_get_one(member):
    assert "load_starter" in member.get(reverse("engines:list")).content.decode()


def test_the_page_shows_facts_words_and_hash(member, engine):
    text = member.get(reverse("engines:detail", args=[engine.pk])).content.decode()
    for words in (
        "4 of 16 for each token",
        "2 of 4 for each token",
        "1,024 tokens",
        "Cannot talk.",
        "ab" * 32,
        "the gate weight of each expert",
    ):
        assert words in text


def test_what_an_engine_cannot_return_is_not_promised(member, engine):
    engine.can_logprobs = engine.can_routing_ids = engine.can_routing_weights = False
    engine.save()
    text = member.get(reverse("engines:detail", args=[engine.pk])).content.decode()
    assert "gate weight" not in text
    assert "nothing about single tokens" in text


def test_examples_lead_to_the_prompt_form(member, engine):
    text = member.get(reverse("engines:detail", args=[engine.pk])).content.decode()
    assert f"{reverse('traces:submit')}?engine={engine.pk}&amp;example=1" in text


def test_who_may_not_ask_sees_examples_without_links(client, viewer, engine):
    client.force_login(viewer)
    text = client.get(reverse("engines:detail", args=[engine.pk])).content.decode()
    assert "gcd of 12 and 18?" in text
    assert reverse("traces:submit") not in text


def test_runs_are_counted_by_verdict(member, engine):
    run = factories.run("asked", engine=engine)
    problem = factories.problem()
    for n, value in enumerate(["correct", "wrong", "wrong", None]):
        made = factories.trace(run, problem, "<think>a</think>b", sample_index=n)
        if value:
            factories.verdict(made, value)
    [row] = member.get(reverse("engines:detail", args=[engine.pk])).context["runs"]
    assert (row["name"], row["traces"], row["correct"], row["wrong"], row["undecidable"], row["unscored"]) == (
        "asked",
        4,
        1,
        2,
        0,
        1,
    )


def test_an_engine_without_facts_still_has_a_page(member, db):
    bare = factories.engine("bare")
    assert "Nobody has described it yet." in member.get(reverse("engines:detail", args=[bare.pk])).content.decode()
    assert member.get(reverse("engines:detail", args=[99])).status_code == 404


def test_a_hostile_description_is_text(member, db):
    evil = factories.engine(
        "evil", description="<script>alert(1)</script>", examples=[{"family": "<b>", "prompt": "<script>", "note": "x"}]
    )
    assert "<script>alert" not in member.get(reverse("engines:detail", args=[evil.pk])).content.decode()
