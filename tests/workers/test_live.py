"""The growing text of a run, in the cache."""

import pytest
from django.core.cache import cache

from tests.workers.generating import done, started
from tests.workers.loop import make_problems
from webapp.jobs.models import JobState
from webapp.traces.models import Trace
from workers.live import live_key

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("nothing_sent")]


def test_live_text_is_in_the_cache(engine):
    run = started(engine, make_problems(["1"]), n=2)
    done(run)
    state = cache.get(live_key(run.pk))
    traces = list(Trace.objects.filter(run=run).order_by("sample_index"))

    assert [s["tokens"] for s in state["samples"]] == [t.completion_tokens for t in traces]
    assert [s["done"] for s in state["samples"]] == [True, True]
    assert state["done"] == 2
    assert state["tokens_per_second"] > 0
    for shown, trace in zip(state["samples"], traces, strict=True):
        assert shown["text"].replace("\x00", "\u2400") == trace.completion
        assert shown["answer"] == trace.completion


def test_a_cache_that_is_away_stops_nothing(engine, monkeypatch):
    from redis.exceptions import ConnectionError as Away

    def away(*_args):
        raise Away("no socket")

    monkeypatch.setattr("workers.live.cache.set", away)
    run = started(engine, make_problems(["1"]))
    assert done(run).state == JobState.DONE
