"""Where the final answer of a text is, and which texts are the same."""

import pytest

from workers.verification import quantities, text


@pytest.mark.parametrize(
    ("answer", "boxes"),
    [
        (r"\boxed{1} then \boxed{2}", ["2"]),
        (r"\boxed{1},\boxed{2}", ["1", "2"]),
        (r"$\boxed{(98, 2)} \quad \text{and} \quad \boxed{(99, 503)}$", ["(98, 2)", "(99, 503)"]),
        (r"\boxed{\frac{1}{2}}", [r"\frac{1}{2}"]),
        (r"\boxed{\{1\}}", [r"\{1\}"]),
        (r"so \boxed{4", ["4"]),
        ("no box", []),
    ],
)
def test_the_last_group_of_boxes(answer, boxes):
    assert text.last_boxes(answer) == boxes


@pytest.mark.parametrize(
    ("answer", "part"),
    [
        ("<answer>1</answer> or <answer> 2 </answer>", "2"),
        ("<answer> 3", "3"),
        ("x <final_answer>4</final_answer> y", "4"),
        (" 5 ", "5"),
    ],
)
def test_the_part_in_answer_tags(answer, part):
    assert text.final_part(answer) == part


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        ("The answer is 12.5. I hope it is correct.", "12.5"),
        ("Final Answer: The final answer is $x=2$. Done.", "$x=2$"),
        ("72\n#### 72", "72"),
        (r"The answer is below. \boxed{3}", None),
        (r"So \boxed{44}. Since 17*44 = 748, our answer is correct.", None),
        ("The answer is not easy to give here and now", None),
    ],
)
def test_what_is_stated_as_the_answer(answer, found):
    assert text.stated(answer) == found


def test_superscripts_are_not_flattened():
    assert text.half_width("２²＋１") == "2²+1"


def test_repeating_decimals_and_mixed_numbers_are_exact():
    assert quantities.read(r"0.1\overline{6}").value * 6 == 1
    assert quantities.read(r"-2\frac{3}{4}").value * 4 == -11
    assert quantities.read("1/0") is None
    assert quantities.read("1,22") is None
    assert quantities.read("1e99999") is None
