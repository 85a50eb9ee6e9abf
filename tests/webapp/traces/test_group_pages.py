"""The group page and the diff of two samples: real groups of fifty, figures, filter and order by address, labels, few queries."""

import json
import re

import pytest
from django.core.cache import cache
from django.urls import reverse

from tests.webapp.traces import factories as make
from webapp.curation.models import Label
from webapp.traces import group_queries
from webapp.traces.group_figures import Row, together
from webapp.traces.models import Trace


@pytest.fixture(autouse=True)
def fresh_cache():
    cache.clear()


@pytest.fixture
def fifty(db, shared_data):
    """A real group: fifty samples of one problem, judged as its source judged them."""
    lines = (shared_data / "groups" / "groups.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines[:50]]
    run, problem = make.run("fifty"), make.problem(rows[0]["problem"], rows[0]["gold"])
    for n, row in enumerate(rows):
        said = re.search(r"<answer>(.*?)</answer>", row["raw"], re.DOTALL)
        trace = make.trace(run, problem, row["raw"], sample_index=n)
        make.verdict(trace, "correct" if row["upstream_correct"] else "wrong", extracted=said[1] if said else "")
    return run, problem, rows


def shown(client, run, problem, query=""):
    answer = client.get(reverse("traces:group", args=[run.pk, problem.pk]) + query)
    assert answer.status_code == 200
    return answer


def numbers(answer):
    return [sample["row"].number + 1 for sample, _cluster in answer.context["samples"]]


def row(n, verdict="wrong", answer="1", **fields):
    plain = {"tokens": 10, "think_chars": 5, "answer_chars": 5, "logprob": None, "entropy": None, "label": ""}
    return Row(pk=n, number=n, verdict=verdict, answer=answer, **plain | fields)


def test_answers_are_clustered_and_the_majority_is_one_answer():
    rows = [
        row(0, "correct", "4 2"),
        row(1, "wrong", "7"),
        row(2, "undecidable", " 4  2 "),
        row(3, "unscored", None),
        row(4, "wrong", ""),
    ]
    told = together(rows)
    assert [(c.answer, c.count, c.is_majority, c.verdicts) for c in told.clusters] == [
        ("4 2", 2, True, {"correct": 1, "undecidable": 1}),
        ("7", 1, False, {"wrong": 1}),
    ]
    assert (told.judged, told.correct, told.read, told.no_signal) == (4, 1, 3, "")
    assert not any(c.is_majority for c in together([row(0), row(1, answer="2")]).clusters)
    assert not any(c.is_majority for c in together([row(0)]).clusters)


def test_pass_at_k_is_the_unbiased_estimate_for_every_k():
    rows = [row(n, "correct" if n < 3 else "wrong") for n in range(8)]
    told = together([*rows, row(9, "unscored", None)]).pass_at
    assert [k for k, _share in told] == list(range(1, 9))
    assert told[0][1] == 3 / 8
    assert told[1][1] == pytest.approx(1 - (5 / 8) * (4 / 7))
    assert [share for k, share in told if k > 5] == [1, 1, 1]
    many = together([row(n, "correct" if n < 3 else "wrong") for n in range(100)]).pass_at
    assert [k for k, _share in many] == [1, 2, 4, 8, 16, 32, 64, 100]


@pytest.mark.parametrize(
    ("verdicts", "said"),
    [(["correct"] * 2, "correct"), (["wrong", "undecidable"], "wrong"), (["correct", "wrong"], ""), (["correct"], ""),
     (["correct", "unscored"], ""), (["unscored"] * 3, "")],
)  # fmt: skip
def test_zero_variance_needs_two_that_are_judged_alike(verdicts, said):
    assert together([row(n, verdict) for n, verdict in enumerate(verdicts)]).no_signal == said


def test_a_real_group_in_figures(member, fifty):
    run, problem, rows = fifty
    answer = shown(member, run, problem)
    text = answer.content.decode()
    right = sum(bool(r["upstream_correct"]) for r in rows)
    assert f"{right} of 50 judged samples are correct" in text
    figures = answer.context["figures"]
    assert sum(cluster.count for cluster in figures.clusters) == figures.read
    assert figures.clusters[0].count == max(cluster.count for cluster in figures.clusters)
    assert dict(figures.pass_at)[1] == pytest.approx(right / 50)
    assert dict(figures.pass_at)[50] == 1
    assert "All begin with the same 7 characters" in text
    assert text.count("until then") == len(numbers(answer)) - ("stays with the larger party" in text)


def test_the_page_asks_a_fixed_number_of_queries(member, fifty, group_of_three, django_assert_num_queries):
    run, problem, _rows = fifty
    # session, user, run, problem, rows, beginnings, the page's texts, their findings, their labels
    with django_assert_num_queries(9):
        shown(member, run, problem)
    with django_assert_num_queries(8):  # where they part is kept
        shown(member, run, problem, "?sort=-length")
    run, problem = group_of_three[0].run, group_of_three[0].problem
    with django_assert_num_queries(9):
        shown(member, run, problem)


def test_filter_and_order_by_address(member, fifty):
    run, problem, rows = fifty
    right = [n + 1 for n, r in enumerate(rows) if r["upstream_correct"]]
    assert numbers(shown(member, run, problem, "?verdict=correct")) == right[:32]
    by_length = numbers(shown(member, run, problem, "?sort=length"))
    lengths = dict(Trace.objects.values_list("sample_index", "think_chars"))
    answers = dict(Trace.objects.values_list("sample_index", "answer_chars"))
    assert [lengths[n - 1] + answers[n - 1] for n in by_length] == sorted(lengths[n] + answers[n] for n in range(50))[
        :32
    ]
    parted = shown(member, run, problem, "?sort=-parting")
    places = [sample["place"].at for sample, _cluster in parted.context["samples"]]
    assert places == sorted(places, reverse=True)
    cluster = parted.context["clusters"][0]
    only = shown(member, run, problem, f"?answer={cluster.answer}")
    assert only.context["page"].paginator.count == cluster.count
    assert len(numbers(shown(member, run, problem, "?page=2"))) == 18
    for odd in ("?verdict=maybe&sort=x&page=x", "?sort=-"):
        assert numbers(shown(member, run, problem, odd))[0] == 1
    none = shown(member, run, problem, "?answer=never+said").content.decode()
    assert "No sample fits." in none


def test_samples_side_by_side(member, group_of_three):
    trace = group_of_three[0]
    text = shown(member, trace.run, trace.problem).content.decode()
    assert "3 samples" in text
    assert text.index("sample 1<") < text.index("sample 4<") < text.index("sample 5<")
    assert "\\boxed{42}" in text
    assert "No answer; its last words before that" in text
    assert "think never closed" in text
    assert "no answer read yet" in text
    for sample in Trace.objects.all():
        assert reverse("traces:detail", args=[sample.pk]) in text
    assert "data-strip" not in text  # a viewer may not label


def test_the_token_at_which_a_sample_parts_is_linked(member, db):
    run, problem = make.run(), make.problem()
    texts = [
        "<think>12 and 30 is 42</think>42",
        "<think>12 and 30 is 43</think>43",
        "<think>12 and 30 is 42</think>42!",
    ]
    traces = [make.trace(run, problem, text, sample_index=n, tokens=True) for n, text in enumerate(texts)]
    text = shown(member, run, problem).content.decode()
    from webapp.traces import tokenstore

    arrays = tokenstore.read(traces[1].store_path, traces[1].store_row_group, traces[1].store_tokens)
    char = len(problem.prompt) + len("<think>12 and 30 is 4")
    token = next(n for n, end in enumerate(arrays.text_end.tolist()) if end > char)
    assert f"{reverse('traces:detail', args=[traces[1].pk])}?token={token}" in text
    assert f"parts at character 21, token {token}" in text
    page = member.get(reverse("traces:diff") + f"?s={traces[0].pk}&s={traces[1].pk}").content.decode()
    assert f"{reverse('traces:detail', args=[traces[1].pk])}?token={token}" in page


def test_a_lost_shard_leaves_the_page(member, store):
    run, problem = make.run(), make.problem()
    traces = [make.trace(run, problem, f"{n} is it", sample_index=n, tokens=True) for n in range(2)]
    (store / traces[1].store_path).unlink()
    text = shown(member, run, problem).content.decode()
    assert "parts at character 0" in text


def test_a_think_in_its_own_field_comes_first(member):
    run, problem = make.run(), make.problem()
    for n, (think, answer) in enumerate([("so", "4"), ("so", "5")]):
        make.trace(run, problem, answer, reasoning=think, sample_index=n)
    rows = group_queries.rows(run.pk, problem.pk)
    ways = group_queries.ways(run.pk, problem.pk, rows)
    assert ways.shared == 2
    assert [place and (place.at, place.before, place.after) for place in ways.places.values()] == [None, (2, "so", "5")]


def test_samples_of_unknown_questions_are_not_compared(member):
    run, problem = make.run(), make.problem("", None)
    for n in range(2):
        make.trace(run, problem, f"{n}", sample_index=n)
    text = shown(member, run, problem).content.decode()
    assert "came without their questions" in text
    assert "pass@k" not in text


# -- labels from the group --------------------------------------------------------------------------------------------


def strip(client, trace, value, **fields):
    given = {"value": value, "strip": "1", "seen": "", "rating": "", "tags": "", "note": ""} | fields
    return client.post(reverse("curation:label", args=[trace.pk]), given, headers={"HX-Request": "true"})


def test_a_sample_is_labelled_in_place_and_keeps_rating_tags_and_own_note(client, annotator, group_of_three):
    client.force_login(annotator)
    trace = group_of_three[1]
    first = strip(client, trace, "keep", rating="4", tags="slow", note="mine").content.decode()
    assert "data-strip" in first
    assert re.search(r'data-key="k"\s+aria-pressed="true"', first)
    form = dict(re.findall(r'name="(seen|rating|tags|note)" value="([^"]*)"', first))
    assert form == {"seen": str(Label.objects.get().pk), "rating": "4", "tags": "slow", "note": "mine"}
    page = shown(client, trace.run, trace.problem).content.decode()
    assert f'name="seen" value="{form["seen"]}"' in page
    strip(client, trace, "reject", **form)
    newest = Label.objects.order_by("-pk").first()
    assert (newest.value, newest.rating, newest.tags, newest.note) == ("reject", 4, " slow ", "mine")


def test_who_comes_second_is_told(client, annotator, editor, group_of_three):
    trace = group_of_three[0]
    client.force_login(editor)
    strip(client, trace, "keep", note="for my eyes")
    client.force_login(annotator)
    answer = strip(client, trace, "reject").content.decode()
    assert "emmy said “keep” meanwhile" in answer
    assert Label.objects.count() == 1
    assert f'name="seen" value="{Label.objects.get().pk}"' in answer
    assert "for my eyes" not in answer


def test_without_scripts_a_label_leads_back_to_its_sample(client, annotator, group_of_three):
    client.force_login(annotator)
    trace = group_of_three[1]
    answer = client.post(
        reverse("curation:label", args=[trace.pk]),
        {"value": "keep", "strip": "1", "seen": "", "rating": "", "tags": "", "note": ""},
    )
    assert answer.url == f"{reverse('traces:group', args=[trace.run_id, trace.problem_id])}#sample-4"


# -- two samples ------------------------------------------------------------------------------------------------------


def test_two_real_samples_word_by_word(member, fifty, django_assert_num_queries):
    ids = list(Trace.objects.order_by("sample_index").values_list("pk", flat=True)[:2])
    with django_assert_num_queries(3):  # session, user, traces
        answer = member.get(reverse("traces:diff") + f"?s={ids[0]}&s={ids[1]}")
    text = answer.content.decode()
    assert "Both begin with the same 18 characters" in text
    assert "<mark" in text
    assert "data-group" in text
    assert "No tokens are stored for it." in text


def test_a_diff_takes_two_that_exist(member, group_of_three):
    one = group_of_three[0].pk
    for query in ("", f"?s={one}", f"?s={one}&s={one}", f"?s={one}&s=x", "?s=1&s=2&s=3"):
        answer = member.get(reverse("traces:diff") + query)
        assert answer.status_code == 400
        assert "exactly two" in answer.content.decode()
    assert member.get(reverse("traces:diff") + f"?s={one}&s=99999").status_code == 404


def test_model_text_in_a_diff_never_becomes_markup(member, db):
    run, problem = make.run(), make.problem()
    bad = "<script>alert(1)</script><div hx-get='/'>x</div>\u202e"
    ids = [make.trace(run, problem, f"{bad} same {bad} {n} {bad}", sample_index=n).pk for n in range(2)]
    text = member.get(reverse("traces:diff") + f"?s={ids[0]}&s={ids[1]}").content.decode()
    assert "<script>alert" not in text
    assert "<div hx-get='/'" not in text
    assert "\u202e" not in text
    assert text.count("&lt;script&gt;alert(1)") >= 3
