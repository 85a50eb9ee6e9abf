"""The trace page in a real browser: overlays, layers, keys, inspector, find, the address, hostile text."""

import re
from functools import partial

import pytest
from django.urls import reverse
from playwright.sync_api import expect

from tests.webapp.traces import factories as make
from tests.webapp.traces.pictures import MIDDLE, PICTURE

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
HOSTILE = (
    "<script>window.hit=1</script><img src=x onerror='window.hit=2'><div hx-get='/traces/' hx-trigger='load'>x</div>"
    "$\\href{javascript:window.hit=3}{x}$ $\\def\\a{\\a\\a}\\a$ \u202eevil\u202c\u200b </div></article>"
)


@pytest.fixture
def open_page(browsing, viewer):
    return partial(browsing.open, viewer)


@pytest.fixture
def traces(db):
    run, problem = make.run(engine=make.engine()), make.problem("What is $12 + 30$?")
    text = "<think>First the tens.\n" + "Then some more words about it, and more.\n" * 150 + "</think>It is $42$."
    return [make.trace(run, problem, text, sample_index=n, tokens=True) for n in range(3)]


def address(trace, query=""):
    return reverse("traces:detail", args=[trace.pk]) + query


def test_overlays_layers_and_the_address(open_page, traces):
    page = open_page(address(traces[1]))
    expect(page.locator("#loading")).to_be_hidden()
    expect(page.locator("#legend .chip").first).to_be_visible()
    before = page.evaluate(PICTURE, ".pane.kind-think .chunk")
    page.keyboard.press("]")
    page.keyboard.press("]")
    expect(page.locator("#layer-words")).to_have_text("layer 3 (3 of 3)")
    expect(page).to_have_url(re.compile("layer=3"))
    page.wait_for_function(f"(before) => ({PICTURE})('.pane.kind-think .chunk') !== before", arg=before)
    page.select_option("#overlay", "gate")
    page.keyboard.press("e")
    expect(page.locator("#expert")).to_have_value("0")
    expect(page.locator("#legend")).to_contain_text("gate weight 0 to")
    page.select_option("#overlay", "logprob")
    expect(page.locator("#legend")).to_contain_text("nats; deeper is less likely")
    page.keyboard.press("o")
    expect(page.locator("#overlay")).to_have_value("entropy")
    expect(page.locator("#legend")).to_contain_text("nats; deeper is less certain")
    expect(page).to_have_url(re.compile("overlay=entropy"))
    page.reload()
    expect(page.locator("#overlay")).to_have_value("entropy")
    page.keyboard.press("O")
    expect(page.locator("#overlay")).to_have_value("logprob")


def test_the_text_stays_what_it_was(open_page, traces):
    trace = traces[0]
    page = open_page(address(trace))
    expect(page.locator(".chunk").first).to_be_attached()
    shown = page.locator("[data-text]").evaluate_all("all => all.map((pane) => pane.textContent)")
    assert "".join(shown) == trace.prompt + trace.completion
    selected = page.evaluate("""() => {
      const range = document.createRange(); range.selectNodeContents(document.querySelector('.kind-answer [data-text]'));
      getSelection().removeAllRanges(); getSelection().addRange(range); return getSelection().toString(); }""")
    assert selected == "It is $42$."


def test_a_token_tells_all_by_pointer_and_by_key(open_page, traces):
    page = open_page(address(traces[0]))
    inspector = page.locator("#inspector")
    expect(page.locator(".t")).to_have_count(1)
    x, y = page.evaluate(MIDDLE, [".pane.kind-think", "First"])
    page.mouse.move(x, y)
    expect(inspector.locator("[data-slot=text]")).to_have_text("First")
    expect(inspector.locator(".routing tr")).to_have_count(3)
    expect(inspector.locator(".routing tr").first.locator(".weight")).to_have_count(2)
    page.mouse.click(x, y)
    number = int(page.locator(".t:focus").get_attribute("data-i"))
    expect(page.locator(".t:focus")).to_have_attribute("aria-label", f"token {number}: First")
    expect(page).to_have_url(re.compile(rf"token={number}\b"))
    page.mouse.move(2, 2)
    page.keyboard.press("ArrowRight")
    expect(page.locator(".t:focus")).to_have_attribute("data-i", str(number + 1))
    expect(inspector.locator("[data-slot=text]")).to_have_text("␣")
    page.keyboard.press("ArrowDown")
    below = page.locator(".t:focus").bounding_box()
    assert below["y"] > y + 10
    page.keyboard.press("ArrowUp")
    assert abs(page.locator(".t:focus").bounding_box()["y"] - y) < 20
    page.keyboard.press("Escape")
    expect(page).not_to_have_url(re.compile("token="))


def test_the_last_token_says_that_it_was_never_routed(open_page, traces):
    last = traces[0].store_tokens - 1
    page = open_page(address(traces[0], f"?token={last}"))
    expect(page.locator(".t:focus")).to_have_attribute("data-i", str(last))
    expect(page.locator("#inspector")).to_contain_text("It was never fed back")


def test_an_address_reopens_its_token(open_page, traces):
    page = open_page(address(traces[0], "?overlay=logprob&token=1500"))
    expect(page.locator(".t:focus")).to_have_attribute("data-i", "1500")
    expect(page.locator(".t:focus")).to_be_in_viewport()
    expect(page.locator("#inspector-title")).to_contain_text("token 1500 of")


def test_one_token_at_a_time_is_reached_by_tab(open_page, traces):
    page = open_page(address(traces[0]))
    expect(page.locator("#loading")).to_be_hidden()
    expect(page.locator("#reader [tabindex='0']")).to_have_count(1)


def test_a_legend_chip_shows_one_expert(open_page, traces):
    page = open_page(address(traces[0]))
    chip = page.locator("#legend .chip").first
    before = page.evaluate(PICTURE, ".pane.kind-think .chunk")
    expert = chip.inner_text().split()[0].removeprefix("e")
    chip.click()
    expect(page.locator("#legend .chip[aria-pressed=true]")).to_have_count(1)
    expect(page).to_have_url(re.compile(f"expert={expert}"))
    page.wait_for_function(f"(before) => ({PICTURE})('.pane.kind-think .chunk') !== before", arg=before)


def test_the_layer_is_counted_as_a_whole(open_page, traces):
    """First what is near the screen is fetched, then the rest: the legend's counts add up to every routed token."""
    page = open_page(address(traces[0]))
    total = traces[0].store_tokens - 1
    expect(page.locator("#legend .chip").first).to_have_attribute("title", re.compile(f"of {total} tokens"))
    counts = page.locator("#legend .chip .soft").all_inner_texts()
    assert sum(map(int, counts)) == total
    expect(page.locator("#legend")).not_to_contain_text("read so far")


def test_find(open_page, traces):
    page = open_page(address(traces[0]))
    expect(page.locator("#loading")).to_be_hidden()
    page.keyboard.press("/")
    expect(page.locator("#find-text")).to_be_focused()
    page.locator("#find-text").fill("WORDS about")  # over three spans; at once, since its beginnings are found as often
    expect(page.locator("#find-count")).to_have_text("1 of 150")
    page.keyboard.press("Enter")
    expect(page.locator("#find-count")).to_have_text("2 of 150")
    assert page.evaluate("CSS.highlights.get('found').size") == 150
    page.locator("#find-text").fill("nothing like it")
    expect(page.locator("#find-count")).to_have_text("not found on this page")


def test_keys_lead_to_the_neighbours_and_to_help(open_page, traces):
    page = open_page(address(traces[1], "?overlay=entropy"))
    expect(page.locator("#loading")).to_be_hidden()
    page.keyboard.press(".")
    expect(page.locator("h1")).to_have_text("sample 3 of 3")
    expect(page).to_have_url(re.compile("overlay=entropy"))
    page.keyboard.press(",")
    expect(page.locator("h1")).to_have_text("sample 2 of 3")
    page.keyboard.press("?")
    expect(page.locator("#help")).to_be_visible()
    page.keyboard.press("]")  # keys of the page rest while a dialog is open
    page.keyboard.press("Escape")
    expect(page.locator("#help")).to_be_hidden()
    page.keyboard.press("g")
    expect(page.locator("h1")).to_have_text("3 samples")
    page.wait_for_load_state()  # the heading stands before the module that listens to keys has run
    page.keyboard.press("3")
    expect(page.locator("h1")).to_have_text("sample 3 of 3")


def test_the_reading_view_typesets_mathematics_and_code(open_page):
    text = "<think>So $x^2$ and\n```python\nprint('$no$')\n```\ncosts $5 or $6.</think>\\[\\frac{1}{2}\\]"
    trace = make.trace(make.run(), make.problem(), text)
    page = open_page(address(trace))
    expect(page.locator(".pane.kind-think .reading .katex")).to_have_count(1)
    expect(page.locator(".pane.kind-think pre.code")).to_have_text("print('$no$')")
    expect(page.locator(".pane.kind-answer .maths.block .katex-display")).to_have_count(1)
    expect(page.locator(".pane.kind-think .reading")).to_contain_text("costs $5 or $6.")
    page.keyboard.press("v")
    expect(page.locator(".pane.kind-think .reading")).to_be_hidden()
    expect(page.locator(".pane.kind-think [data-text]")).to_be_visible()
    expect(page).to_have_url(re.compile("view=tokens"))


@pytest.mark.parametrize("view", ["tokens", "reading"])
@pytest.mark.parametrize("tokens", [False, True])
def test_hostile_text_stays_text(open_page, view, tokens):
    problem = make.problem(HOSTILE, HOSTILE)
    trace = make.trace(make.run(), problem, f"<think>{HOSTILE}</think>{HOSTILE}", tokens=tokens)
    make.verdict(trace, extracted=HOSTILE, gold=HOSTILE, message=HOSTILE)
    page = open_page(address(trace, f"?view={view}"))
    page.evaluate("document.querySelectorAll('details').forEach((part) => (part.open = true))")
    page.wait_for_load_state("networkidle")
    assert page.evaluate("window.hit") is None
    assert page.locator("#reader :is(script, img, a, iframe, style, [hx-get], [onerror])").count() == 0
    assert page.locator("#reader .words:visible .mark").count() >= 9
    assert not set("\u202e\u202c\u200b") & set(page.locator("#reader").inner_text())


def test_without_scripts_everything_can_be_read(open_page, traces):
    make.verdict(traces[0], extracted="42", message="equal")
    page = open_page(address(traces[0]), java_script_enabled=False)
    expect(page.locator(".pane.kind-think [data-text]")).to_contain_text("First the tens.")
    expect(page.locator(".pane.kind-answer [data-text]")).to_have_text("It is $42$.")
    expect(page.locator(".verdicts")).to_contain_text("equal")
    expect(page.locator("#toolbar")).to_be_hidden()


def test_on_a_phone_the_inspector_is_a_sheet(open_page, traces):
    page = open_page(address(traces[0]), width=390, height=844)
    expect(page.locator("#inspector")).to_be_hidden()
    expect(page.locator(".t")).to_have_count(1)
    page.mouse.click(*page.evaluate(MIDDLE, [".pane.kind-think", "First"]))
    box = page.locator("#inspector").bounding_box()
    assert box["y"] + box["height"] == pytest.approx(844, abs=1)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.locator("[data-action=close-inspector]").click()
    expect(page.locator("#inspector")).to_be_hidden()


def test_a_lost_shard_is_said(open_page, traces, store):
    page = open_page(address(traces[0]))
    expect(page.locator("#viewer-error")).to_be_hidden()
    (store / traces[1].store_path).unlink()
    page = open_page(address(traces[1]))
    expect(page.locator("[role=alert]:visible")).to_contain_text("has no shard")
    expect(page.locator(".pane.kind-answer")).to_contain_text("42")


def test_the_list_filters_in_place(open_page, traces):
    make.verdict(traces[0], "wrong")
    page = open_page(reverse("traces:list"))
    page.get_by_label("wrong", exact=True).check()
    expect(page.locator("#results h2")).to_have_text("1 trace")
    assert page.url.endswith("?verdict=wrong")
    page.locator("#results tbody a").first.click()
    expect(page.locator("h1")).to_have_text("sample 1 of 3")
    page.go_back()
    expect(page.locator("#results h2")).to_have_text("1 trace")
    expect(page.get_by_label("wrong", exact=True)).to_be_checked()
