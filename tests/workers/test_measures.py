"""Repetition and language on real thinks."""

import json

import pytest

from webapp.curation.recipes import LANGUAGES
from workers.measures import language_share, repeated_share
from workers.measures.language import SCRIPTS
from workers.parsing import parse, think_text

ENGLISH = "First we look at the numbers and then we add them together because that is what the question asks of us."
CHINESE = "首先我们来看这些数字，然后把它们加在一起，因为题目要求我们这样做。"


def test_the_detector_knows_the_languages_that_a_recipe_may_name():
    from lingua import Language

    assert {language.iso_code_639_1.name.lower() for language in Language.all()} == LANGUAGES
    assert set(SCRIPTS) <= LANGUAGES


@pytest.mark.parametrize(
    ("text", "languages", "low", "high"),
    [
        (ENGLISH, ("en",), 1.0, 1.0),
        (ENGLISH, ("zh",), 0.0, 0.0),
        (CHINESE, ("zh",), 1.0, 1.0),
        (CHINESE, ("en",), 0.0, 0.0),
        (ENGLISH + CHINESE, ("en", "zh"), 1.0, 1.0),
        (ENGLISH * 3 + "因为题目要求", ("en",), 0.88, 0.95),
        (CHINESE + "设 x 为 5，y 为 7", ("zh",), 1.0, 1.0),
        (
            "Zuerst betrachten wir die Zahlen und dann zählen wir sie zusammen, weil die Aufgabe das von uns verlangt.",
            ("en",),
            0.0,
            0.0,
        ),
        ("まず数を見て、それから足し合わせます。問題がそう求めているからです。", ("ja",), 1.0, 1.0),
        (ENGLISH + " ```\ndef f(数): return 数\n``` and $\\text{数字数字数字}$ `数字`", ("en",), 1.0, 1.0),
    ],
)
def test_share_of_words_in_languages(text, languages, low, high):
    assert low <= language_share(text, languages) <= high


@pytest.mark.parametrize("text", ["", "2+2=4", "x=3, y=5, so z=8", "$$\\int_0^1 x\\,dx$$", "left 3 2: smallest 2"])
def test_too_few_words_say_nothing(text):
    assert language_share(text, ("en",)) is None


def test_real_thinks_by_source(shared_data):
    """English sources pass, all of them; of the Indonesian and the Chinese ones those in these languages do not."""
    shares = {}
    for line in (shared_data / "traces_seed" / "traces_seed.jsonl").read_text().splitlines():
        row = json.loads(line)
        think = think_text(parse("", row["reasoning"], row["raw"], "").segments, row["reasoning"], row["raw"])
        shares.setdefault(row["source"], []).append(language_share(think[:4000], ("en",)))
    for source in (
        "traces_topology",
        "traces_skythought_tools",
        "traces_rgym_qwen3b_rlft",
        "rollouts_nemo_gym",
        "traces_atropos_rollouts",
    ):
        assert all(share is None or share >= 0.9 for share in shares[source])
    assert sum(share is not None and share < 0.5 for share in shares["traces_mixed_self_llm"]) >= 10
    assert sum(share is not None and share < 0.5 for share in shares["traces_zh_grpo_gsm8k"]) >= 15


def test_repetition_in_any_script():
    assert repeated_share("a b c d e f", 3) == 0
    assert repeated_share("a b c a b c", 3) == pytest.approx(1 / 4)
    assert repeated_share("wait, " * 50, 2) > 0.9
    assert repeated_share("我们再来" * 20, 4) > 0.9
    assert repeated_share("", 8) == repeated_share("one", 8) == 0
