"""Chunks of a run: their shape, their prompts."""

import pytest

from tests.workers.generating import started
from tests.workers.loop import make_problems
from workers import loaded
from workers.planning import Plan

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("nothing_sent")]


def test_messages_and_system_prompt_go_through_the_template(engine):
    problems = make_problems(["1"])
    talk = [{"role": "system", "content": "old"}, {"role": "user", "content": "hello"}]
    type(problems[0]).objects.filter(pk=problems[0].pk).update(messages=talk)
    prompts = []
    for system in ("", "Be brief."):
        run = started(engine, problems, system_prompt=system, n=1)
        prompts.append(next(Plan(run, loaded.engine(engine)).chunks()).asked[0].prompt)

    assert prompts == [
        "<｜begin▁of▁sentence｜>old<｜User｜>hello<｜Assistant｜>", "<｜begin▁of▁sentence｜>Be brief.<｜User｜>hello<｜Assistant｜>",
    ]  # fmt: skip


def test_chunks_hold_at_most_a_batch_and_share_their_shape(engine, settings):
    settings.GENERATE_BATCH = 8
    problems = make_problems(["1", "2", "3"])
    sizes = {}
    for n in (3, 8, 20):
        plan = Plan(started(engine, problems, n=n), loaded.engine(engine))
        chunks = list(plan.chunks())
        sizes[n] = [len(chunk) for chunk in chunks]
        wanted = {(a.problem_id, s) for chunk in chunks for a in chunk.asked for s in a.samples}
        assert wanted == {(p.pk, s) for p in problems for s in range(n)}

    assert sizes == {3: [6, 3], 8: [8, 8, 8], 20: [7, 7, 6] * 3}
