"""The plain pages in a real browser: no serious fault for axe-core in either theme, nothing wider than a phone, no complaint
of the page; the theme that is chosen; a job's state that moves by itself and stops moving."""

from functools import partial

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.urls import reverse
from playwright.sync_api import expect

from tests.webapp.traces import factories as make
from webapp.jobs import actions
from webapp.jobs.models import JobKind

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("sent")]


@pytest.fixture
def open_page(browsing, admin):
    return partial(browsing.open, admin)


@pytest.fixture
def addresses(admin):
    """Every plain page with content in it."""
    engine = make.engine(facts={"parameters": 3254112, "layers": 6, "top_k": 4, "n_routed_experts": 16}, description="Can add.",
                         examples=[{"family": "gcd", "prompt": "gcd of 12 and 18?", "note": ""}])  # fmt: skip
    problem = make.problem(tags=" arithmetic ", metadata={"level": 1})
    make.verdict(make.trace(make.run(engine=engine), problem, "<think>12 + 30</think>42"))
    job = actions.create(JobKind.VERIFY, title="Verify", by=admin, args={}, queue="default", total=4, unit="traces")
    names = [
        "home",
        "accounts:profile",
        "accounts:password",
        "accounts:users",
        "accounts:audit",
        "problems:list",
        "engines:list",
        "jobs:list",
    ]
    rows = [
        ("problems:set", problem.problem_set_id),
        ("problems:detail", problem.pk),
        ("engines:detail", engine.pk),
        ("jobs:detail", job.pk),
    ]
    return [reverse(name) for name in names] + [reverse(name, args=[key]) for name, key in rows]


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [1440, 390])
def test_pages_have_no_serious_fault_and_fit(open_page, addresses, theme, width):
    page = open_page(addresses[0], width=width, color_scheme=theme)
    origin = page.url.rstrip("/")
    faults = {}
    for address in addresses:
        page.goto(origin + address)
        found = [v["id"] for v in Axe().run(page).response["violations"] if v["impact"] in {"serious", "critical"}]
        if page.evaluate("document.documentElement.scrollWidth") > width:
            found.append("wider than the window")
        if found:
            faults[address] = found
    assert faults == {}


def test_a_chosen_theme_stays_and_can_be_given_back_to_the_system(open_page):
    page = open_page(reverse("accounts:profile"))
    root = page.locator("html")
    page.get_by_role("button", name="dark", exact=True).click()
    expect(root).to_have_attribute("data-theme", "dark")
    page.goto(page.url)
    expect(root).to_have_attribute("data-theme", "dark")
    expect(page.get_by_role("button", name="dark", exact=True)).to_have_attribute("aria-pressed", "true")
    page.get_by_role("button", name="as the system").click()
    assert root.get_attribute("data-theme") is None


def test_a_jobs_state_moves_by_itself_and_stops_when_it_has_ended(open_page, admin):
    job = actions.create(JobKind.VERIFY, title="Verify", by=admin, args={}, queue="default", total=4, unit="traces")
    page = open_page(reverse("jobs:detail", args=[job.pk]))
    state = page.locator("#job-state")
    expect(state).to_contain_text("waiting")
    held = actions.claim(job.pk)
    actions.progress(held, done=3, message="3 of 4 judged")
    expect(state).to_contain_text("3 of 4 judged")
    actions.finish(held, result={"judged": 4}, message="all judged")
    expect(state).to_contain_text("all judged")
    assert state.get_attribute("hx-get") is None
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    page.wait_for_timeout(1500)
    assert asked == []


def test_cancelling_needs_no_script(open_page, admin):
    job = actions.create(JobKind.VERIFY, title="Verify", by=admin, args={}, queue="default")
    page = open_page(reverse("jobs:detail", args=[job.pk]), java_script_enabled=False)
    page.get_by_role("button", name="Cancel").click()
    expect(page.locator("#job-state")).to_contain_text("Cancelled by ada")
