"""The outline of a think: made-up sentences for each rule, then real thinks whole."""

import json
import time

import pytest

from tests.webapp.traces.factories import seed_rows
from webapp.traces.outline import KINDS, LABEL_CHARS, LONG_PARAGRAPH, label_of, outline_of


def marked(text, kind):
    """What of `text` is marked as `kind`."""
    return [text[m.start : m.end] for p in outline_of(text).paragraphs for m in p.marks if m.kind == kind]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Wait, that is odd.", ["Wait"]),
        ("So 4. But wait, no.", ["But wait"]),
        ("so\n**Hmm**, let me", ["Hmm"]),
        ("x = 3. Alternatively, use y. However, z. Actually no.", ["Alternatively", "However", "Actually"]),
        ("Fine. Let me double-check the sum. Let me verify.", ["Let me double-check", "Let me verify"]),
        ("On second thought, no. Oh, hold on.", ["On second thought", "Oh, hold on"]),
        ("That's not right. I made a mistake.", ["That's not right", "I made a mistake"]),
        ("They wait for the train, however late, and it is actually there.", []),
        ("The waiter came. Waiting is dull. Hmmingbird.", []),
        ("等等，这里不对。不对，应该是3。", ["等等", "不对"]),
        ("苹果、香蕉等等。对应的数不对称。", []),
        ("结果是3，但是题目问的是4。或者用另一个公式。x或者y。", ["但是", "或者"]),
        ("换个思路。让我检查一下。再想想。其实是5。", ["换个思路", "让我检查", "再想想", "其实"]),
        ("嗯，好的。我算错了。重新计算。", ["嗯", "我算错了", "重新计算"]),
        ("", []),
    ],
)
def test_turning_words(text, found):
    assert marked(text, "turn") == found


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Step 1: add.\n**Step 2:** carry.\n### Step 3", ["Step 1", "**Step 2", "### Step 3"]),
        ("1. one\n2) two\n(3) three", ["1. ", "2) ", "(3)"]),
        ("First, this.\nSecondly, that.\nFinally, done.", ["First,", "Secondly,", "Finally,"]),
        ("首先看第一步。\n第二步，算。\n步骤 3\n一、甲\n2、乙\n① 丙", ["首先", "第二步", "步骤 3", "一、", "2、", "①"]),
        ("It is 3.14 and 1. no list\n12.5 apples\n2024 was", []),
    ],
)
def test_steps(text, found):
    assert marked(text, "step") == found


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (r"so \boxed{\frac{1}{2}} it is", [r"\boxed{\frac{1}{2}}"]),
        (r"put it in \boxed{}. \boxed {4}", [r"\boxed {4}"]),
        (r"The final answer is \boxed{5}.", [r"answer is \boxed{5}."]),
        ("**Answer:** 12\nthe answer should be 13", ["Answer:** 12", "answer should be 13"]),
        ("最终答案是 42。\n**答案：** 7", ["答案是 42。", "答案：** 7"]),
        ("#### 42\n#### Windows\nan answer, perhaps", ["#### 42"]),
    ],
)
def test_answers(text, found):
    assert marked(text, "answer") == found


def test_paragraphs_are_cut_at_blank_lines_and_long_ones_at_line_ends():
    text = "\n\n  one\n  more \n \t\n\n two\n\n" + "a line of words\n" * 300
    cut = outline_of(text).paragraphs
    assert [text[p.start : p.end] for p in cut[:2]] == ["one\n  more", "two"]
    assert len(cut) > 4
    assert all(p.end - p.start <= LONG_PARAGRAPH for p in cut)
    assert "".join(text.split()) == "".join("".join(text[p.start : p.end].split()) for p in cut)


def test_labels_are_one_line_cut_at_a_word_and_show_what_is_hidden():
    label = label_of("## **Wait**,\n\tthe tens and the units and everything else that there is to be added up")
    assert label.startswith("Wait, the tens and the units")
    assert label.endswith(" …")
    assert len(label) <= LABEL_CHARS + 2
    assert label == "Wait, the tens and the units and everything else that …"
    assert len(label_of("这是一个很长的句子" * 20)) <= LABEL_CHARS / 2 + 3
    assert label_of("a\u202eb\x1b") == "a[RLO]b[ESC]"
    assert label_of("\u200b") == "[ZWSP]"
    assert label_of("") == "…"


def test_real_thinks_are_outlined_whole(shared_data):
    turned = 0
    for row in seed_rows(shared_data):
        text = (row.get("reasoning") or "") + row["raw"]
        outline = outline_of(text)
        last = 0
        for paragraph in outline.paragraphs:
            assert last <= paragraph.start < paragraph.end <= len(text)
            last = paragraph.end
            places = [mark.start for mark in paragraph.marks]
            assert places == sorted(places)
            for mark in paragraph.marks:
                assert mark.kind in KINDS
                assert 0 <= mark.start < mark.end <= len(text)
                assert mark.label.strip()
                assert len(mark.label) <= LABEL_CHARS * 5  # names of hidden characters may be longer than they
        assert sum(outline.counts.values()) == sum(len(p.marks) for p in outline.paragraphs)
        turned += "turn" in outline.counts
    assert turned > 200


def test_a_think_of_deepseek_r1_turns_often_and_proposes_its_gold(shared_data):
    lines = (shared_data / "traces_topology" / "math500_deepseek_r1.jsonl").read_text(encoding="utf-8").splitlines()
    texts = [str(next(v for v in sorted(json.loads(line).values(), key=lambda v: -len(str(v))))) for line in lines]
    counts = [outline_of(text).counts for text in texts]
    assert sum(c.get("turn", 0) for c in counts) / len(counts) > 3
    assert sum("answer" in c for c in counts) / len(counts) > 0.8


@pytest.mark.parametrize(
    "text",
    ["wait, " * 20_000, "Wait. " * 20_000, "但是，" * 30_000, "\\boxed{" * 15_000, "answer is " * 10_000, "\n1. " * 25_000,
     " " * 100_000, "\n" * 100_000, "h" + "m" * 100_000, "but " + " " * 100_000, "**" * 50_000, ("Hmm, so. " * 30 + "\n\n") * 400],
    ids=lambda text: repr(text[:8]),
)  # fmt: skip
def test_a_hundred_thousand_characters_take_no_time(text):
    began = time.process_time()
    outline_of(text)
    assert time.process_time() - began < 2
