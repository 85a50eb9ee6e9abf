"""The verify stage: verdicts by each problem's verifier, nothing judged twice, three states kept apart."""

import pytest

from tests.workers.loop import LONG_AGO, add, claimed, make_problems, make_run, r1, sample, work
from webapp.jobs import actions as jobs
from webapp.jobs.models import Job, JobKind
from webapp.traces.actions import add_verdicts
from webapp.traces.models import Trace, Verdict
from webapp.traces.records import NewVerdict
from workers import verification, verify

pytestmark = pytest.mark.usefixtures("db", "sent")


def verify_job(run, *, force=False):
    return claimed(JobKind.VERIFY, {"run_id": run.pk, "force": force})


def states(run):
    return list(Trace.objects.filter(run=run).order_by("pk").values_list("verdict", flat=True))


@pytest.fixture
def run():
    two, half, none, unverified = [*make_problems(["2", r"\frac{1}{2}", None]), *make_problems(["5"], verifier="none")]
    run = make_run([two])
    add(
        run,
        sample(two, 0, r1("1+1", "2")),
        sample(two, 1, r1("1+1 is 2", "3")),
        sample(two, 2, r1("2", "no idea")),
        sample(half, 0, r1("hm", r"\boxed{0.5}")),
        sample(none, 0, r1("hm", "7")),
        sample(unverified, 0, r1("hm", "5")),
    )
    return run


def test_each_trace_is_judged_by_its_problems_verifier(run):
    job = work(verify, verify_job(run))
    assert states(run) == ["correct", "wrong", "undecidable", "correct", "unscored", "unscored"]
    assert job.result == {"traces": 6, "judged": 4, "correct": 2, "wrong": 1, "undecidable": 1, "skipped": 2, "kept": 0}
    assert "4 of 6 traces judged" in job.message
    verdict = Verdict.objects.get(trace__sample_index=0, trace__problem__answer="2")
    assert (verdict.verifier, verdict.version, verdict.extracted, verdict.gold) == (
        "math",
        verification.version("math"),
        "2",
        "2",
    )
    job.refresh_from_db()
    assert (job.progress_done, job.progress_total) == (6, 6)


def test_the_think_is_not_the_answer():
    (two,) = make_problems(["2"])
    run = make_run([two])
    add(run, sample(two, 0, r1(r"so \boxed{2}", "3")), sample(two, 1, r1(r"so \boxed{3}", "2")))
    work(verify, verify_job(run))
    assert states(run) == ["wrong", "correct"]


def test_a_second_run_judges_nothing_again_and_force_adds(run):
    work(verify, verify_job(run))
    again = work(verify, verify_job(run))
    assert (again.result["judged"], again.result["kept"]) == (0, 4)
    assert Verdict.objects.count() == 4
    forced = work(verify, verify_job(run, force=True))
    assert forced.result["judged"] == 4
    assert Verdict.objects.count() == 8


def test_a_new_version_adds_and_keeps_the_old(run, monkeypatch):
    now = verification.version("math")
    work(verify, verify_job(run))
    monkeypatch.setattr(verification, "version", lambda _name: "99")
    assert work(verify, verify_job(run)).result["judged"] == 4
    assert set(Verdict.objects.values_list("version", flat=True)) == {"99", now}


def test_the_deadline_ends_a_slice_and_the_next_goes_on(run, monkeypatch):
    monkeypatch.setattr(verify, "CHUNK", 2)
    job = verify_job(run)
    assert verify.run(job, LONG_AGO) is False
    assert Verdict.objects.count() == 2
    work(verify, job)
    assert Verdict.objects.count() == 4
    assert job.result["judged"] == 4


def test_a_cancelled_job_stops_and_keeps_whole_chunks(run, monkeypatch, editor):
    monkeypatch.setattr(verify, "CHUNK", 2)
    job = verify_job(run)
    real = verify._judge_all

    def cancelled_meanwhile(traces):
        jobs.cancel(job.pk, by=editor)
        return real(traces)

    monkeypatch.setattr(verify, "_judge_all", cancelled_meanwhile)
    with pytest.raises(jobs.JobStopped):
        verify.run(job, LONG_AGO)
    assert Verdict.objects.count() == 2
    assert Job.objects.get(pk=job.pk).state == "cancelled"


@pytest.mark.parametrize(
    ("completion", "finish_reason", "expected", "words"),
    [
        ("<think>\nhm", "stop", "wrong", "the trace ended without an answer"),
        (r1("hm", ""), "stop", "wrong", "the trace ended without an answer"),
        ("<think>\nhm", "length", "undecidable", "cut off before an answer"),
        ("<think>\nhm", "cancelled", "undecidable", "cut off before an answer"),
        ("<think>\nhm", "", "undecidable", "cut off before an answer"),
        (r1("hm", ""), "", "undecidable", "whether it was cut off is not recorded"),
        (r1("hm", "2"), "length", "undecidable", "cut off in its answer"),
        (r1("hm", "3"), "length", "undecidable", "cut off in its answer"),
        (r1("hm", r"So \boxed{2} and"), "length", "correct", ""),
        (r1("hm", "2"), "", "correct", ""),
    ],
)
def test_traces_without_an_answer_or_cut_off(completion, finish_reason, expected, words):
    (two,) = make_problems(["2"])
    run = make_run([two])
    add(run, sample(two, 0, completion, finish_reason=finish_reason))
    work(verify, verify_job(run))
    verdict = Verdict.objects.get()
    assert verdict.value == expected
    assert words in verdict.message
    assert (verdict.score is None) == (expected == "undecidable")


def test_a_persons_verdict_stands_unless_forced(run, editor, now):
    first = Trace.objects.filter(run=run).order_by("pk").first()
    add_verdicts([NewVerdict(first.pk, "person", "1", "wrong")], by=editor, at=now.replace(year=2025))
    work(verify, verify_job(run))
    assert states(run)[0] == "wrong"
    work(verify, verify_job(run, force=True))
    assert states(run)[0] == "correct"


def test_a_verifier_that_breaks_is_undecidable(run, monkeypatch):
    def broken(*_):
        raise ValueError("out of ink \x00")

    monkeypatch.setattr(verification, "check", broken)
    work(verify, verify_job(run))
    assert set(Verdict.objects.values_list("value", "method", "message")) == {
        ("undecidable", "error", "the verifier failed: ValueError: out of ink \ufffd")
    }


def test_reasoning_gym_problems_of_the_families():
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from workers.trainers.families import FAMILIES, generate
    name = next(iter(FAMILIES)) if isinstance(FAMILIES, dict) else FAMILIES[0].name
    item = generate(name, 1, 3)[0]
    (problem,) = make_problems([item.answer], verifier=item.verifier, args=item.verifier_args)
    run = make_run([problem])
    add(run, sample(problem, 0, r1(item.think, item.answer)), sample(problem, 1, r1(item.think, "surely not this")))
    work(verify, verify_job(run))
    assert states(run) == ["correct", "wrong"]


def test_a_run_that_is_gone_is_said():
    with pytest.raises(ValueError, match="no run 999999 any more"):
        verify.run(claimed(JobKind.VERIFY, {"run_id": 999999}), LONG_AGO)
