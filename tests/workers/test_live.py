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
        assert shown["answer"] == trace.completion.lstrip("\n")


def test_a_cache_that_is_away_stops_nothing(engine, monkeypatch):
    from redis.exceptions import ConnectionError as Away

    def away(*_args):
        raise Away("no socket")

    monkeypatch.setattr("workers.live.cache.set", away)
    run = started(engine, make_problems(["1"]))
    assert done(run).state == JobState.DONE


def test_think_and_answer_are_told_apart_while_they_grow(monkeypatch):
    from inference import Completion, Finished, Step
    from workers.live import LiveText
    from workers.planning import Asked

    class Letters:
        def token_bytes(self, token):
            return chr(token).encode()

    now = iter(range(10_000))
    live = LiveText(7, Letters(), [Asked(1, "Q", [1], [0, 1], [5, 6])], saved=4, planned=12, clock=lambda: next(now))
    for letter in "<think>ab</think>\n\ncé":
        live.add(Step([(0, 0), (0, 1)], [ord(letter), ord(letter)], []))
    ended = Completion([], None, None, "stop", None, 5)
    live.add(Step([(0, 0)], [1], [Finished(0, 0, ended)]))
    state = cache.get(live_key(7))
    first, second = state["samples"]

    assert (first["think"], first["answer"], first["done"]) == ("ab", "cé", True)
    assert (second["think"], second["answer"], second["done"]) == ("ab", "cé", False)
    assert (first["tokens"], second["tokens"], state["done"]) == (22, 21, 5)
    # 43 tokens so far; the running sample needs a quarter more than its 21, six samples of 22 tokens follow
    assert state["seconds_left"] * state["tokens_per_second"] == pytest.approx(21 * 0.25 + 6 * 22)


def test_a_character_that_is_not_whole_yet_is_not_shown():
    from inference import Step
    from workers.live import LiveText
    from workers.planning import Asked

    class Bytes:
        def token_bytes(self, token):
            return bytes([token])

    live = LiveText(8, Bytes(), [Asked(1, "Q", [1], [0], [5])], saved=0, planned=1)
    for byte in "aé".encode()[:2]:
        live.add(Step([(0, 0)], [byte], []))
    live.publish()
    assert cache.get(live_key(8))["samples"][0]["text"] == "a"
    assert cache.get(live_key(8))["seconds_left"] is None


def test_a_sample_that_stops_with_two_tokens_keeps_the_first():
    from inference import Completion, Finished, Step
    from workers.live import LiveText
    from workers.planning import Asked

    class Letters:
        def token_bytes(self, token):
            return chr(token).encode()

    live = LiveText(9, Letters(), [Asked(1, "Q", [1], [0, 1], [5, 6])], saved=0, planned=2)
    ended = Finished(0, 0, Completion([], None, None, "stop", None, 5))
    live.add(Step([(0, 0), (0, 0), (0, 1), (0, 1)], [ord("a"), 1, ord("b"), ord("c")], [ended]))
    live.publish()
    state = cache.get(live_key(9))
    assert [(s["text"], s["tokens"], s["done"]) for s in state["samples"]] == [("a", 2, True), ("bc", 2, False)]
