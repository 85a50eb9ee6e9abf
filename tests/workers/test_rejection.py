"""Selections: every candidate has a fate and a reason, every number of the funnel adds up, the same again gives the same hash."""

import hashlib
import itertools
import json

import pyarrow.parquet as pq
import pytest
from django.core.cache import cache

from tests.workers.loop import LONG_AGO, add, claimed, later, make_problems, make_run, r1, sample, work
from webapp.curation.models import Candidate, DatasetVersion
from webapp.curation.selection_actions import create_selection, request_preview
from webapp.jobs import actions as jobs
from webapp.jobs.models import Job, JobKind
from webapp.traces import shardfile
from webapp.traces.actions import add_verdicts, set_current_label
from webapp.traces.models import Trace
from webapp.traces.records import NewVerdict
from workers import rejection

pytestmark = pytest.mark.usefixtures("db", "sent", "clean_cache")
ENGLISH = "First we look at the numbers and then we add them together because that is what the question asks of us."
CHINESE = "首先我们来看这些数字，然后把它们加在一起，因为题目要求我们这样做。"


@pytest.fixture
def clean_cache():
    cache.clear()


def recipe(**changes):
    return {"version": 1, **changes}


@pytest.fixture
def run(now):
    """Three problems; of the first five samples, one for each early fate."""
    one, two, three = make_problems(["1", "2", "3"])
    run = make_run([one])
    traces = add(
        run,
        sample(one, 0, r1(ENGLISH, "1"), completion_tokens=30, mean_logprob=-0.5),
        sample(one, 1, r1(ENGLISH + " So.", "1"), completion_tokens=20, mean_logprob=-0.1),
        sample(one, 2, r1(ENGLISH, "1"), completion_tokens=30, mean_logprob=-0.2),  # the text of sample 0 again
        sample(one, 3, r1(ENGLISH, "9")),
        sample(one, 4, f"<think>\n{ENGLISH}", finish_reason="length"),
        sample(two, 0, r1(CHINESE, "2"), completion_tokens=10),
        sample(two, 1, r1("round and round it goes " * 20, "2"), completion_tokens=90),
        sample(two, 2, "2"),
        sample(three, 0, r1(ENGLISH, "3"), completion_tokens=25),
    )
    verdicts = ["correct", "correct", "correct", "wrong", None, "correct", "correct", "correct", "correct"]
    add_verdicts(
        [NewVerdict(t.pk, "math", "1", v) for t, v in zip(traces, verdicts, strict=True) if v], by=None, at=now
    )
    return run


def select(run, document, name="s", dataset="d", **kwargs):
    from datetime import UTC, datetime

    selection = create_selection(
        name=name, recipe=document, run_ids=[run.pk], dataset=dataset, by=None, at=datetime.now(UTC)
    )
    job = jobs.claim(selection.job_id)
    work(rejection, job)
    selection.refresh_from_db()
    return selection, job


def rows_of(version):
    filesystem, path = shardfile.locate(version.rows_path)
    with filesystem.open(path, "rb") as file:
        return pq.read_table(file).to_pylist()


def check_sums(funnel, candidates):
    """Each step: what was left before, less what it rejected, is left after; reasons add up; problems never grow."""
    assert funnel[0]["step"] == "candidates"
    assert funnel[-1]["step"] == "kept"
    assert funnel[0]["traces"] == len(candidates)
    for before, after in itertools.pairwise(funnel):
        assert before["traces"] - after["rejected"] == after["traces"]
        assert after["problems"] <= before["problems"]
        assert sum(after["reasons"].values()) == after["rejected"]
    by_rule = {step["step"]: step["rejected"] for step in funnel if step["rejected"]}
    counted = {}
    for fate, rule in candidates:
        if fate == "rejected":
            counted[rule] = counted.get(rule, 0) + 1
    assert counted == by_rule
    assert sum(fate == "kept" for fate, _ in candidates) == funnel[-1]["traces"]


FULL = recipe(
    only_correct=True,
    well_formed=True,
    languages=["en"],
    no_repetition={"words": 5, "max_share": 0.5},
    k_per_problem=1,
    prefer="shortest",
)


def test_every_candidate_has_a_fate_and_the_funnel_adds_up(run):
    selection, job = select(run, FULL)
    candidates = list(Candidate.objects.filter(selection=selection).values_list("fate", "rule"))
    check_sums(selection.funnel, candidates)
    fates = dict(Candidate.objects.filter(selection=selection).values_list("trace__pk", "rule"))
    traces = list(Trace.objects.filter(run=run).order_by("pk").values_list("pk", flat=True))
    assert [fates[pk] for pk in traces] == [
        "k_per_problem", "kept", "distinct", "only_correct", "only_correct", "languages", "no_repetition", "well_formed", "kept",
    ]  # fmt: skip
    assert [(s["step"], s["problems"], s["traces"]) for s in selection.funnel] == [
        ("candidates", 3, 9), ("labels", 3, 9), ("only_correct", 3, 7), ("well_formed", 3, 6), ("no_repetition", 3, 5),
        ("languages", 2, 4), ("distinct", 2, 3), ("k_per_problem", 2, 2), ("kept", 2, 2),
    ]  # fmt: skip
    assert selection.funnel[2]["reasons"] == {"unscored": 1, "wrong": 1}
    assert job.result["kept"] == 2


def test_the_reasons_are_in_words(run):
    selection, _ = select(run, FULL)
    details = dict(Candidate.objects.filter(selection=selection).values_list("rule", "detail"))
    assert details["well_formed"] == "findings: no_think"
    assert "above 50%" in details["no_repetition"]
    assert details["languages"] == "0% in the languages asked for, below 90%"
    assert details["k_per_problem"] == "rank 2 of its problem (shortest), beyond 1"


def test_a_preview_says_the_same_and_stores_nothing(run):
    job = request_preview(recipe=FULL, run_ids=[run.pk], by=None)
    held = work(rejection, jobs.claim(job.pk))
    assert not Candidate.objects.exists()
    assert not DatasetVersion.objects.exists()
    assert held.result["funnel"] == rejection.preview(rejection.recipes.parse(FULL), [run.pk])
    assert held.result["funnel"] == select(run, FULL)[0].funnel
    assert held.result["words"][0] == "No trace labelled reject."


def test_the_frozen_rows_say_what_is_known(run):
    selection, _ = select(run, FULL)
    version = selection.versions.get()
    rows = rows_of(version)
    assert [row["sample_index"] for row in sorted(rows, key=lambda r: r["prompt"])] == [1, 0]
    row = next(r for r in rows if r["gold"] == "1")
    assert row["think"].strip() == ENGLISH + " So."
    assert row["answer"].strip() == "1"
    assert row["completion"] == r1(ENGLISH + " So.", "1")
    assert row["messages"] == [{"role": "user", "content": "What is thing 0?"}]
    assert (row["verdict"], row["verifier"], row["verifier_version"], row["licence"]) == ("correct", "math", "1", "MIT")
    assert json.loads(row["sampling"]) == {"seed": 7, "temperature": 0.6}
    manifest = version.manifest
    assert (manifest["rows"], manifest["problems"], manifest["completion_tokens"]) == (2, 2, 45)
    assert manifest["funnel"] == selection.funnel
    assert manifest["verifiers"] == [{"verifier": "math", "version": "1", "verdict": "correct", "rows": 2}]
    assert manifest["parents"][0]["sampling"] == {"temperature": 0.6, "seed": 7}
    assert (manifest["dataset"], manifest["version"], manifest["content_hash"]) == ("d", 1, version.content_hash)


def test_the_hash_is_that_of_the_rows_by_the_rule_of_the_manifest(run):
    version = select(run, FULL)[0].versions.get()
    digest = hashlib.sha256()
    for row in rows_of(version):
        digest.update((json.dumps(row, ensure_ascii=False, sort_keys=True, separators=(",", ":")) + "\n").encode())
    assert digest.hexdigest() == version.content_hash


def test_the_same_selection_again_has_the_same_hash_and_the_next_number(run):
    first = select(run, FULL)[0].versions.get()
    second = select(run, FULL, name="again")[0].versions.get()
    other = select(run, recipe(k_per_problem=2), name="other")[0].versions.get()
    assert (first.number, second.number, other.number) == (1, 2, 3)
    assert first.content_hash == second.content_hash != other.content_hash
    assert first.rows_path == second.rows_path


def test_labels_refuse_and_require(run):
    traces = list(Trace.objects.filter(run=run).order_by("pk"))
    set_current_label(traces[0].pk, value="keep", rating=None, tags="")
    set_current_label(traces[1].pk, value="reject", rating=None, tags="")
    kept = rows_of(select(run, recipe(labels={"refuse": ["reject"]}, distinct=False))[0].versions.get())
    assert traces[1].pk not in {row["trace_id"] for row in kept}
    only = rows_of(select(run, recipe(labels={"require": ["keep"]}), name="only")[0].versions.get())
    assert [row["trace_id"] for row in only] == [traces[0].pk]


def test_unscored_wrong_and_undecidable_are_three_reasons(run, now):
    last = Trace.objects.filter(run=run).order_by("pk").last()
    add_verdicts([NewVerdict(last.pk, "math", "1", "undecidable")], by=None, at=now)
    funnel = rejection.preview(rejection.recipes.parse(recipe()), [run.pk])
    assert next(s for s in funnel if s["step"] == "only_correct")["reasons"] == {
        "undecidable": 1,
        "unscored": 1,
        "wrong": 1,
    }


def test_prefilled_and_separate_thinks_are_well_formed():
    (one,) = make_problems(["1"])
    run = make_run([one])
    add(
        run,
        sample(one, 0, f"{ENGLISH}\n</think>\n\n1", prompt="<|User|>What?<|Assistant|><think>\n"),
        sample(one, 1, "1", reasoning=ENGLISH),
        sample(one, 2, "<think></think>1"),
    )
    funnel = rejection.preview(rejection.recipes.parse(recipe(only_correct=False, distinct=False)), [run.pk])
    assert next(s for s in funnel if s["step"] == "well_formed")["reasons"] == {"empty_think": 1}


def test_nothing_kept_is_a_failure_that_shows_why(run):
    from datetime import UTC, datetime

    document = recipe(completion_tokens={"min": 5000})
    selection = create_selection(
        name="s", recipe=document, run_ids=[run.pk], dataset="d", by=None, at=datetime.now(UTC)
    )
    job = jobs.claim(selection.job_id)
    for _ in range(2):  # resumed, it says the same and adds nothing twice
        with pytest.raises(ValueError, match="keeps none of the 9 traces"):
            rejection.run(job, later())
        selection.refresh_from_db()
        assert selection.funnel[-1] == {"step": "kept", "problems": 0, "traces": 0, "rejected": 0, "reasons": {}}
        assert selection.candidates.count() == 9
    assert not DatasetVersion.objects.exists()


def test_the_deadline_hands_over_and_what_was_read_is_not_read_again(run, monkeypatch):
    monkeypatch.setattr(rejection, "CHUNK", 2)
    read = []
    real = rejection._read
    monkeypatch.setattr(rejection, "_read", lambda trace, r: read.append(trace.pk) or real(trace, r))
    job = claimed(JobKind.SELECT, {"preview": True, "recipe": FULL, "run_ids": [run.pk]})
    slices = 0
    while not rejection.run(job, LONG_AGO):
        slices += 1
        assert slices < 10
    assert slices == 2
    assert len(read) == len(set(read)) == 6


def test_a_second_attempt_at_a_frozen_selection_changes_nothing(run):
    selection, job = select(run, FULL)
    Job.objects.filter(pk=job.pk).update(state="running", lease_token=job.lease_token)
    work(rejection, job)
    assert selection.versions.count() == 1
    assert selection.candidates.count() == 9


def test_a_broker_that_is_away_costs_the_cache_only(run, monkeypatch):
    from redis.exceptions import ConnectionError as NoRedis

    def away(*_, **__):
        raise NoRedis("no socket")

    monkeypatch.setattr(rejection.cache, "get_many", away, raising=False)
    monkeypatch.setattr(rejection.cache, "set_many", away, raising=False)
    job = claimed(JobKind.SELECT, {"preview": True, "recipe": FULL, "run_ids": [run.pk]})
    assert rejection.run(job, LONG_AGO) is True  # nothing remembered, so it goes on to the end


def test_problems_shared_by_two_runs_are_one_problem(run, now):
    problem = Trace.objects.filter(run=run).order_by("pk").first().problem
    other = make_run([problem])
    (trace,) = add(other, sample(problem, 0, r1("Short and good, we simply count.", "1"), completion_tokens=5))
    add_verdicts([NewVerdict(trace.pk, "math", "1", "correct")], by=None, at=now)
    funnel = rejection.preview(rejection.recipes.parse(recipe(k_per_problem=1)), [run.pk, other.pk])
    assert (funnel[0]["problems"], funnel[-1]["traces"]) == (3, 3)
