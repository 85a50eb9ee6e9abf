"""Replay on the trace page and on the run's: what is offered to whom, what is said of tokens that are not the writer's."""

import pytest
from django.urls import reverse

from tests.webapp.traces import factories as make
from webapp.accounts.models import AuditEvent
from webapp.jobs.models import Job, JobKind, JobState
from webapp.traces.models import RoutingComparison, Trace

pytestmark = pytest.mark.django_db


@pytest.fixture
def bare(db):
    return make.trace(make.run(), make.problem(), "<think>12 and 30</think>42")


@pytest.fixture
def routed(db):
    return make.trace(make.run("second run"), make.problem(), "<think>12 and 30</think>42", tokens=True)


@pytest.fixture
def as_editor(client, editor):
    client.force_login(editor)
    return client


def page(client, trace):
    return client.get(reverse("traces:detail", args=[trace.pk])).content.decode()


def ask(client, trace, engine):
    return client.post(reverse("traces:replay", args=[trace.pk]), {"engine": engine})


def ended(job, state=JobState.DONE, **result):
    Job.objects.filter(pk=job.pk).update(state=state, result=result, message="so it ended", lease_token=None)


def test_a_trace_without_tokens_offers_the_local_engines(as_editor, bare, engine):
    make.engine("another")
    text = page(as_editor, bare)
    assert "came without tokens and routing" in text
    assert text.index(">another</option>") < text.index(f">{engine.name}</option>")


def test_one_without_routing_too(as_editor, engine):
    plain = make.trace(make.run(), make.problem(), "<think>a</think>b", tokens="plain")
    assert "This trace came without routing." in page(as_editor, plain)


def test_the_writers_own_routing_is_called_so(as_editor, routed, engine):
    text = page(as_editor, routed)
    assert "that of the model that wrote this trace" in text
    assert 'id="replayed"' not in text


def test_a_viewer_sees_what_could_be_done_but_not_the_form(member, bare, engine):
    text = page(member, bare)
    assert "An editor can ask for that here" in text
    assert 'id="replay-engine"' not in text
    assert ask(member, bare, engine.pk).status_code == 403


def test_asking_makes_one_job_on_the_inference_queue(as_editor, editor, bare, engine, sent):
    answer = ask(as_editor, bare, engine.pk)
    assert answer.url == reverse("traces:detail", args=[bare.pk]) + "#replay"
    job = Job.objects.get()
    assert (job.kind, job.queue, job.progress_total) == (JobKind.REPLAY, "inference", 1)
    assert job.args == {"engine_id": engine.pk, "trace_ids": [bare.pk]}
    assert job.created_by == editor
    assert AuditEvent.objects.filter(action="trace.replay").count() == 1
    ask(as_editor, bare, engine.pk)
    assert Job.objects.count() == 1
    text = page(as_editor, bare)
    assert reverse("traces:replay_state", args=[bare.pk]) in text
    assert 'id="replay-engine"' not in text  # one at a time


@pytest.mark.parametrize("engine_id", ["", "999999", "x", "-1"])
def test_an_engine_that_is_not_there_is_said(as_editor, bare, engine_id):
    answer = as_editor.post(reverse("traces:replay", args=[bare.pk]), {"engine": engine_id}, follow=True)
    assert "Choose an engine" in answer.content.decode()
    assert not Job.objects.exists()


def test_the_state_asks_for_the_page_again_when_tokens_came(as_editor, bare, engine):
    ask(as_editor, bare, engine.pk)
    address = reverse("traces:replay_state", args=[bare.pk])
    answer = as_editor.get(address, headers={"HX-Request": "true"})
    assert (answer.status_code, "waiting" in answer.content.decode()) == (200, True)
    ended(Job.objects.get(), replayed=1)
    assert as_editor.get(address, headers={"HX-Request": "true"})["HX-Refresh"] == "true"
    assert as_editor.get(address).url == reverse("traces:detail", args=[bare.pk])


def test_a_failure_stays_on_the_page_with_the_form_for_another_try(as_editor, bare, engine):
    ask(as_editor, bare, engine.pk)
    ended(Job.objects.get(), JobState.FAILED)
    answer = as_editor.get(reverse("traces:replay_state", args=[bare.pk]), headers={"HX-Request": "true"})
    assert answer.status_code == 286
    text = page(as_editor, bare)
    assert "so it ended" in text
    assert 'id="replay-engine"' in text


def test_replayed_tokens_are_called_so(as_editor, routed, engine):
    said = {"replayed_by": "<b>tiny</b>", "replayed_checkpoint": "abcdef0123456789"}
    Trace.objects.filter(pk=routed.pk).update(provenance=said)
    text = page(as_editor, routed)
    assert (
        "Tokens and routing replayed by &lt;b&gt;tiny&lt;/b&gt; (abcdef012345), not those of the model that wrote it."
        in text
    )
    assert "Replay again with another engine" in text


def test_a_comparison_is_a_table_by_layer_with_its_tokens_linked(as_editor, routed, engine):
    assert "Compare it with an engine" in page(as_editor, routed)
    RoutingComparison.objects.create(
        trace=routed, engine_name="<b>tiny</b>", checkpoint_hash="abcdef0123456789", tokens=200, created_at=make.NOW,
        layers=[{"layer": 1, "differ": 50, "experts": 60}, {"layer": 3, "differ": 0, "experts": 0}], worst=[[7, 1, 1]],
    )  # fmt: skip
    text = page(as_editor, routed)
    assert "Against &lt;b&gt;tiny&lt;/b&gt; (abcdef012345)" in text
    row = '<th scope="row">1</th><td class="number">50</td><td class="number">25.0</td><td class="number">15.0</td>'
    assert row in text
    assert '<a href="?token=7&amp;layer=1">7 (1 layer)</a>' in text


def test_a_run_is_replayed_as_a_whole(as_editor, bare, engine):
    address = reverse("traces:run_replay", args=[bare.run_id])
    text = as_editor.get(address).content.decode()
    assert "1 trace, 1 without tokens." in text
    answer = as_editor.post(address, {"engine": engine.pk})
    job = Job.objects.get()
    assert answer.url == reverse("jobs:detail", args=[job.pk])
    assert job.args == {"engine_id": engine.pk, "run_id": bare.run_id}
    assert "Replay" in as_editor.get(answer.url).content.decode()
    assert as_editor.post(address, {"engine": "none"}, follow=True).redirect_chain == [(address, 302)]


def test_without_an_engine_the_run_says_what_to_do(as_editor, bare):
    assert "register_engine" in as_editor.get(reverse("traces:run_replay", args=[bare.run_id])).content.decode()


def test_what_does_not_exist(as_editor, engine):
    for address in (reverse("traces:replay", args=[999]), reverse("traces:run_replay", args=[999])):
        assert as_editor.post(address, {"engine": engine.pk}).status_code == 404
    assert as_editor.get(reverse("traces:replay_state", args=[999])).status_code == 404
    assert as_editor.get(reverse("traces:replay", args=[999])).status_code == 405
