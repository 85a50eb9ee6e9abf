"""Replay in a real browser: a trace that came without tokens gets them by key, the page says whose they are; without scripts; sound at both widths."""

import re
from functools import partial

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.urls import reverse
from playwright.sync_api import expect

from tests.webapp.traces import factories as make
from tests.workers import checkpoint
from webapp.jobs.models import Job, JobState
from webapp.traces.models import RoutingComparison, Trace
from workers import stages
from workers.registering import register

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
SAID = "Tokens and routing replayed by random"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return checkpoint.make(tmp_path_factory.mktemp("replay") / "model")


@pytest.fixture
def engine(quiet, folder, settings, transactional_db):
    settings.TORCH_THREADS = 1
    return register(folder, "random", by=None)


@pytest.fixture
def trace(engine):
    return make.trace(make.run(), make.problem(), "It is 42.", reasoning="12 and 30.\nSo 42.")


@pytest.fixture
def open_page(browsing, editor, engine):
    return partial(browsing.open, editor)


def address(trace):
    return reverse("traces:detail", args=[trace.pk])


def test_a_trace_gets_its_tokens_by_key_and_the_page_says_whose(open_page, trace):
    page = open_page(address(trace))
    expect(page.locator("#replay")).to_contain_text("came without tokens and routing")
    expect(page.locator("#overlay")).to_have_count(0)
    page.locator("#replay-engine").focus()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator("#replay .job")).to_contain_text("waiting")
    stages.work(Job.objects.get().pk)
    expect(page.locator("#replayed")).to_contain_text(SAID)  # the page came again by itself
    expect(page.locator("#overlay")).to_be_visible()
    expect(page.locator("#loading")).to_be_hidden()
    # the think, though the source kept it in a field of its own, has tokens too
    expect(page.locator(".kind-think .chunk").first).to_contain_text("12 and 30.")
    shown = page.locator("[data-text]").evaluate_all("all => all.map((pane) => pane.textContent)")
    assert "".join(shown) == trace.prompt + trace.reasoning + trace.completion
    page.locator("#replay summary").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#replay-engine")).to_be_visible()


def test_a_failure_is_told_where_it_was_asked(open_page, engine):
    long = make.trace(make.run(), make.problem(), "x" * 400)
    page = open_page(address(long))
    page.locator("#replay button").click()
    expect(page.locator("#replay .job")).to_be_visible()
    stages.work(Job.objects.get().pk)
    expect(page.locator("#replay .job")).to_contain_text("more than the context of random, which is 256")
    assert Job.objects.get().state == JobState.FAILED
    page.reload()
    expect(page.locator("#replay button")).to_be_visible()


def test_without_scripts(open_page, trace):
    page = open_page(address(trace), java_script_enabled=False)
    page.locator("#replay button").click()
    expect(page.locator("#replay .job")).to_contain_text("waiting")
    stages.work(Job.objects.get().pk)
    page.reload()
    expect(page.locator("#replayed")).to_contain_text(SAID)
    expect(page.locator(".kind-think [data-text]")).to_contain_text("12 and 30.")


def test_routing_of_its_own_is_compared_and_a_token_opens_from_the_table(open_page, engine):
    routed = make.trace(make.run(), make.problem(), "<think>12 and 30</think>42", tokens=True)
    layers = [{"layer": layer, "differ": 3, "experts": 4} for layer in (1, 2, 3)]
    RoutingComparison.objects.create(
        trace=routed, engine_name="random", checkpoint_hash="abc", tokens=12, layers=layers, worst=[[8, 2, 3]],
        created_at=make.NOW,
    )  # fmt: skip
    page = open_page(address(routed))
    expect(page.locator("#replay tbody tr")).to_have_count(3)
    page.get_by_role("link", name="8 (2 layers)").press("Enter")
    expect(page).to_have_url(re.compile(r"token=8&layer=3"))
    expect(page.locator("#layer-words")).to_have_text("layer 3 (3 of 3)")
    expect(page.locator("#inspector-title")).to_contain_text("token 8 of")


def test_a_run_as_a_whole(open_page, trace):
    make.trace(trace.run, trace.problem, "43", sample_index=1)
    page = open_page(reverse("traces:run_replay", args=[trace.run_id]))
    expect(page.locator("main")).to_contain_text("2 traces, 2 of them without tokens.")
    page.get_by_role("button", name="Replay").click()
    expect(page.locator("#job-state")).to_contain_text("waiting")
    stages.work(Job.objects.get().pk)
    expect(page.locator("#job-state")).to_contain_text("2 traces replayed through random")
    assert not Trace.objects.filter(store_path="").exists()


@pytest.mark.parametrize("width", [1440, 390])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pages_are_sound(open_page, trace, width, scheme):
    for place in (address(trace), reverse("traces:run_replay", args=[trace.run_id])):
        page = open_page(place, width=width, color_scheme=scheme)
        found = [v for v in Axe().run(page).response["violations"] if v["impact"] in {"serious", "critical"}]
        assert [(v["id"], [node["html"][:120] for node in v["nodes"]]) for v in found] == []
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
