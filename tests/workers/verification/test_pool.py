"""Killable children: in threads, in a real prefork child, after a hang, without our environment."""

import multiprocessing
import threading
import time
from pathlib import Path

import billiard
import pytest

from workers.verification import check, pool


@pytest.fixture
def own_pool():
    made = pool.Pool(size=2)
    yield made
    made.close()


def compare(made, gold, answer, seconds=20.0):
    return made.ask("compare", {"gold": [gold], "answer": [answer]}, seconds)


def test_a_child_is_kept_and_used_again(own_pool):
    compare(own_pool, "$1$", "$1$")
    start = time.monotonic()
    assert compare(own_pool, "$2$", "$1+1$")["equal"] is True
    assert time.monotonic() - start < 2


def test_a_child_that_misses_its_time_is_killed(own_pool):
    compare(own_pool, "$1$", "$1$")
    child = own_pool._slots.queue[-1]
    with pytest.raises(pool.ChildTimeoutError):
        own_pool.ask(
            "compare", {"gold": ["$\\frac{1}{3}$"], "answer": ["$" + "+".join(["(x+y+z+w)^{60}"] * 8) + "$"]}, 0.05
        )
    assert child.process.poll() is not None
    assert compare(own_pool, "$2$", "$2$")["equal"] is True


def test_a_child_that_dies_says_so(own_pool):
    compare(own_pool, "$1$", "$1$")
    own_pool._slots.queue[-1].process.kill()
    with pytest.raises(pool.ChildDiedError):
        compare(own_pool, "$1$", "$1$")
    assert compare(own_pool, "$1$", "$1$")["equal"] is True


def test_a_child_is_replaced_when_it_has_answered_enough(own_pool, monkeypatch):
    compare(own_pool, "$1$", "$1$")
    first = own_pool._slots.queue[-1]
    monkeypatch.setattr(pool, "REQUESTS", 1)
    compare(own_pool, "$1$", "$1$")
    assert own_pool._slots.queue[-1] is not first
    assert first.process.poll() is not None


def test_an_interrupted_request_leaves_no_reply_for_the_next(own_pool, monkeypatch):
    """A task's soft time limit is an exception in the middle of the wait."""
    compare(own_pool, "$1$", "$1$")
    child = own_pool._slots.queue[-1]

    class SoftLimit(BaseException):
        pass

    def struck(*_):
        raise SoftLimit

    monkeypatch.setattr(pool.os, "read", struck)
    with pytest.raises(SoftLimit):
        compare(own_pool, "$1$", "$1$")
    monkeypatch.undo()
    assert child.process.poll() is not None
    assert compare(own_pool, "$1$", "$2$")["equal"] is False


def test_threads_share_the_children(own_pool):
    results = []
    threads = [
        threading.Thread(target=lambda k=k: results.append(compare(own_pool, f"${k}$", f"${k}$")["equal"]))
        for k in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [True] * 6


def test_a_child_sees_no_environment_of_ours(own_pool, monkeypatch):
    monkeypatch.setenv("SLUICE_SECRET_KEY", "do-not-tell")
    compare(own_pool, "$1$", "$1$")
    process = own_pool._slots.queue[-1].process
    assert b"do-not-tell" not in Path(f"/proc/{process.pid}/environ").read_bytes()


def test_a_child_ends_when_its_parent_is_gone(own_pool):
    compare(own_pool, "$1$", "$1$")
    process = own_pool._slots.queue[-1].process
    process.stdin.close()
    assert process.wait(timeout=10) == 0


def _judge(gold, answer):
    outcome = check("math", {}, gold, answer)
    return multiprocessing.current_process().daemon, outcome.value, outcome.method


@pytest.mark.slow
def test_in_a_child_of_the_prefork_pool():
    """Celery's prefork children are daemonic: multiprocessing, and pools built on it, refuse to start children there."""
    assert (
        check("math", {}, r"\sqrt{8}", r"2\sqrt{2}").value == "correct"
    )  # the parent's children, which a fork must leave alone
    with billiard.Pool(1) as workers:
        assert workers.apply(_judge, (r"\sqrt{12}", r"2\sqrt{3}")) == (True, "correct", "symbolic")
    assert check("math", {}, r"\sqrt{8}", r"2\sqrt{2}").value == "correct"
