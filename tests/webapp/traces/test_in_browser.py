"""The trace page in a real browser: overlays, layers, keys, inspector, find, the address, hostile text."""

import re
from functools import partial

import pytest
from django.urls import reverse
from playwright.sync_api import expect

from tests.webapp.traces import factories as make

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
    expect(page.locator(".t")).to_have_count(traces[1].store_tokens)
    expect(page.locator("#legend .chip").first).to_be_visible()
    token = page.locator(".kind-think .t").nth(4)
    before = token.get_attribute("class")
    page.keyboard.press("]")
    page.keyboard.press("]")
    expect(page.locator("#layer-words")).to_have_text("layer 3 (3 of 3)")
    expect(page).to_have_url(re.compile("layer=3"))
    classes = {token.get_attribute("class"), before}
    assert all(name.startswith("t x") for name in classes)
    page.keyboard.press("o")
    expect(page.locator("#overlay")).to_have_value("gate")
    page.keyboard.press("e")
    expect(page.locator("#expert")).to_have_value("0")
    expect(page.locator("#legend")).to_contain_text("gate weight 0 to")
    page.keyboard.press("o")
    expect(page.locator("#legend")).to_contain_text("nats; deeper is less likely")
    page.select_option("#overlay", "entropy")
    expect(page.locator("#legend")).to_contain_text("nats; deeper is less certain")
    expect(page).to_have_url(re.compile("overlay=entropy"))
    page.reload()
    expect(page.locator("#overlay")).to_have_value("entropy")


def test_the_text_stays_what_it_was(open_page, traces):
    trace = traces[0]
    page = open_page(address(trace))
    expect(page.locator(".t")).to_have_count(trace.store_tokens)
    shown = page.locator("[data-text]").evaluate_all("all => all.map((pane) => pane.textContent)")
    assert "".join(shown) == trace.prompt + trace.completion
    selected = page.evaluate("""() => {
      const range = document.createRange(); range.selectNodeContents(document.querySelector('.kind-answer [data-text]'));
      getSelection().removeAllRanges(); getSelection().addRange(range); return getSelection().toString(); }""")
    assert selected == "It is $42$."


def test_a_token_tells_all_by_pointer_and_by_key(open_page, traces):
    page = open_page(address(traces[0]))
    inspector = page.locator("#inspector")
    token = page.locator(".kind-think .t", has_text="First")
    token.hover()
    expect(inspector.locator("[data-slot=text]")).to_have_text("First")
    expect(inspector.locator(".routing tr")).to_have_count(3)
    expect(inspector.locator(".routing tr").first.locator(".weight")).to_have_count(2)
    token.click()
    number = int(token.get_attribute("data-i"))
    expect(page).to_have_url(re.compile(rf"token={number}\b"))
    page.keyboard.press("ArrowRight")
    expect(page.locator(".t:focus")).to_have_attribute("data-i", str(number + 1))
    expect(inspector.locator("[data-slot=text]")).to_have_text("␣")
    page.keyboard.press("ArrowDown")
    below = page.locator(".t:focus").bounding_box()
    assert below["y"] > token.bounding_box()["y"] + 10
    page.keyboard.press("ArrowUp")
    assert abs(page.locator(".t:focus").bounding_box()["y"] - token.bounding_box()["y"]) < 2
    page.keyboard.press("Escape")
    expect(page).not_to_have_url(re.compile("token="))
    last = page.locator(".t").last
    last.evaluate("(span) => span.focus()")
    expect(inspector).to_contain_text("It was never fed back")


def test_an_address_reopens_its_token(open_page, traces):
    page = open_page(address(traces[0], "?overlay=logprob&token=1500"))
    expect(page.locator(".t:focus")).to_have_attribute("data-i", "1500")
    expect(page.locator(".t:focus")).to_be_in_viewport()
    expect(page.locator("#inspector-title")).to_contain_text("token 1500 of")


def test_one_token_at_a_time_is_reached_by_tab(open_page, traces):
    page = open_page(address(traces[0]))
    expect(page.locator("#loading")).to_be_hidden()
    expect(page.locator(".t[tabindex='0']")).to_have_count(1)


def test_a_legend_chip_shows_one_expert(open_page, traces):
    page = open_page(address(traces[0]))
    chip = page.locator("#legend .chip").first
    expert, count = chip.inner_text().split()
    chip.click()
    expect(page.locator("#legend .chip[aria-pressed=true]")).to_have_count(1)
    expect(page).to_have_url(re.compile(f"expert={expert.removeprefix('e')}"))
    expect(page.locator(f".t.x{expert.removeprefix('e')}")).to_have_count(int(count))
    expect(page.locator(".t[class*=' x']")).to_have_count(int(count))


def test_find(open_page, traces):
    page = open_page(address(traces[0]))
    expect(page.locator("#loading")).to_be_hidden()
    page.keyboard.press("/")
    page.keyboard.type("WORDS about")  # over three spans
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
    expect(page.locator(".kind-think .reading .katex")).to_have_count(1)
    expect(page.locator(".kind-think pre.code")).to_have_text("print('$no$')")
    expect(page.locator(".kind-answer .maths.block .katex-display")).to_have_count(1)
    expect(page.locator(".kind-think .reading")).to_contain_text("costs $5 or $6.")
    page.keyboard.press("v")
    expect(page.locator(".kind-think .reading")).to_be_hidden()
    expect(page.locator(".kind-think [data-text]")).to_be_visible()
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
    expect(page.locator(".kind-think [data-text]")).to_contain_text("First the tens.")
    expect(page.locator(".kind-answer [data-text]")).to_have_text("It is $42$.")
    expect(page.locator(".verdicts")).to_contain_text("equal")
    expect(page.locator("#toolbar")).to_be_hidden()


def test_on_a_phone_the_inspector_is_a_sheet(open_page, traces):
    page = open_page(address(traces[0]), width=390, height=844)
    expect(page.locator("#inspector")).to_be_hidden()
    page.locator(".kind-think .t", has_text="First").click()
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
