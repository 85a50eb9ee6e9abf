"""The trace page's reading aids as the server writes them: outline, folds and the raw view, all without scripts."""

import re

import pytest
from django.urls import reverse

from tests.webapp.traces import factories as make
from webapp.traces.panes import panes_of
from webapp.traces.reading import fold_names
from workers.parsing import parse

pytestmark = pytest.mark.django_db
THINK = "First, the tens.\n\nWait, that is odd.  \n\n" + "And on it goes.\n\n" * 5 + "Hmm\u200b, so \\boxed{42}."


@pytest.fixture
def trace(db):
    prompt = "<｜begin▁of▁sentence｜><｜User｜>What is\t12 + 30?<｜Assistant｜>"
    return make.trace(make.run(), make.problem(), f"<think>{THINK}</think>42", prompt=prompt)


def page(client, trace, query=""):
    answer = client.get(reverse("traces:detail", args=[trace.pk]) + query)
    assert answer.status_code == 200
    return answer.content.decode()


def test_the_outline_names_and_counts(member, trace):
    text = page(member, trace).split('id="outline"')[1].split("</nav>")[0]
    assert "8 paragraphs" in text
    assert "2 turning words" in text
    assert "1 step" in text
    assert "1 answer proposed" in text
    assert "Hmm[ZWSP], so" in text


def test_a_link_of_the_outline_opens_the_text_from_its_place_on(member, trace):
    text = page(member, trace)
    address = re.search(r'href="(\?pane=\d+&amp;from=\d+)#pane-\d+"[^>]*>.{0,200}?Wait, that', text, re.DOTALL)[1]
    shown = page(member, trace, address.replace("&amp;", "&"))
    think = shown.split('<details class="pane kind-think"')[1].split("</details>")[0]
    assert re.search(r"data-text[^>]*>Wait, that is odd", think)
    assert "Show what comes before" in think


def test_the_raw_view_needs_no_script(member, trace):
    reader = page(member, trace, "?view=raw").split('id="reader"')[1].split("</article>")[0]
    assert '<span class="special">&lt;｜begin▁of▁sentence｜&gt;</span>' in reader
    assert reader.count('data-code="0020"') == 2  # the spaces at a line's end
    assert 'data-code="0009"' in reader
    assert 'data-code="0009"' not in page(member, trace)


@pytest.mark.parametrize(
    ("query", "opened"),
    [("", ["think", "answer"]), ("?fold=think.prompt", ["prompt", "answer"]), ("?fold=x..9", ["think", "answer"])],
)
def test_the_address_says_what_is_folded(member, trace, query, opened):
    panes = re.findall(r'<details class="pane kind-(\w+)"([^>]*)>', page(member, trace, query))
    assert [kind for kind, rest in panes if rest.endswith(" open")] == opened


def test_panes_of_one_kind_have_names_of_their_own():
    text = "<think>a</think>b<think>c</think>d"
    panes = panes_of(parse("q", None, text, "stop").segments, {"prompt": "q", "reasoning": None, "completion": text})
    assert [name for name in fold_names(panes).values() if name][:2] == ["prompt", "think"]
    assert len(set(filter(None, fold_names(panes).values()))) == sum(not pane.is_tag for pane in panes)


def test_the_prompt_says_whether_the_model_saw_it(member, trace):
    assert "exactly as the model saw it" in page(member, trace)
    imported = make.trace(make.run("imported", kind="import"), trace.problem, "4")
    assert "as its source has it" in page(member, imported)
