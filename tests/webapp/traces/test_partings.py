"""Where samples part and how two of them differ: on real groups of fifty, on edges, and on texts made to take long."""

import itertools
import json
import os
import time
from collections import defaultdict

import pytest

from webapp.traces.partings import Parting, common, partings
from webapp.traces.worddiff import MOST_REST, MOST_WORDS, compare


@pytest.fixture(scope="module")
def groups(shared_data):
    """Fifty samples each of four problems, by problem."""
    found = defaultdict(list)
    for line in (shared_data / "groups" / "groups.jsonl").read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        found[row["problem"]].append(row["raw"])
    return list(found.values())


def test_the_larger_party_goes_on():
    told = partings(["think a b c", "think a b d", "think a x", "no"])
    assert told.shared == 0
    assert told.each == [None, Parting(10, 2), Parting(8, 3), Parting(0, 4)]


@pytest.mark.parametrize(
    ("texts", "shared", "each"),
    [
        ([], 0, []),
        (["alone"], 5, [None]),
        (["same", "same"], 4, [None, None]),
        (["same", "same and more"], 4, [None, Parting(4, 2)]),
        (["", "x", "x"], 0, [Parting(0, 3), None, None]),
        (["想一想", "想二"], 1, [None, Parting(1, 2)]),
    ],
)
def test_edges(texts, shared, each):
    told = partings(texts)
    assert (told.shared, told.each) == (shared, each)


def test_real_groups_part_where_their_texts_differ(groups):
    assert [len(group) for group in groups] == [50] * 4
    for texts in groups:
        told = partings(texts)
        assert told.shared == common(texts) == len(os.path.commonprefix(texts))  # noqa: RUF071  # strings, not paths
        stays = [n for n, parting in enumerate(told.each) if parting is None]
        assert len(stays) == 1
        main = texts[stays[0]]
        for text, parting in zip(texts, told.each, strict=True):
            if parting:
                with_it = [t for t in texts if t[: parting.at] == text[: parting.at]]
                assert len(with_it) >= parting.together
                assert parting.at <= common([text, main])
                assert parting.at >= told.shared


def whole(text, diff, side):
    stretches = "".join(piece.text for stretch in side.stretches for piece in stretch.pieces)
    return text[: diff.begin] + stretches + "".join(piece.text for piece in side.rest)


def test_a_diff_loses_no_character_of_real_samples(groups):
    changed = 0
    for texts in groups:
        for left, right in itertools.pairwise(texts[:11]):
            diff = compare(left, right)
            assert left[: diff.at] == right[: diff.at]
            assert left[diff.at : diff.at + 1] != right[diff.at : diff.at + 1]
            assert diff.begin <= diff.at
            assert whole(left, diff, diff.left) == left
            assert whole(right, diff, diff.right) == right
            same = [
                ["".join("".join(p.text for p in s.pieces).split()) for s in side.stretches if not s.only]
                for side in (diff.left, diff.right)
            ]
            assert same[0] == same[1]  # but for white space
            changed += diff.changes
    assert changed > 40


def test_words_are_marked_whole_and_small_islands_are_not_cut_out():
    diff = compare("We take the first number, so it is done here.", "We take the fifth number, so it is over now.")
    assert diff.at == len("We take the fi")
    assert diff.begin == len("We take the ")
    told = [("".join(p.text for p in s.pieces), s.only) for s in diff.left.stretches]
    assert told == [("first ", True), ("number, so it is ", False), ("done here", True), (".", False)]
    assert diff.changes == 2


def test_equal_texts_and_one_that_ends():
    assert compare("abc", "abc").equal
    assert not compare("", "abc").left.stretches
    diff = compare("one two", "one two three")
    assert (diff.at, diff.changes) == (7, 1)
    assert [s.only for s in diff.right.stretches][-1] is True


def test_a_hidden_character_is_a_mark():
    diff = compare("a \u202eb", "a c")
    assert [piece.code for stretch in diff.left.stretches for piece in stretch.pieces] == ["202E", ""]


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("the " * 9000, "the cat " * 5000),
        (" ".join([f"w{i}" for i in range(105)] * 40), "x " + " ".join([f"w{i}" for i in range(105)][::-1] * 40)),
        ("a" * 200_000, "b" * 200_000),
    ],
    ids=["loop", "cycle", "one word"],
)
def test_texts_that_repeat_themselves_do_not_take_long(left, right):
    begun = time.process_time()
    diff = compare(left, right)
    assert time.process_time() - begun < 5
    for text, side in ((left, diff.left), (right, diff.right)):
        shown = whole(text, diff, side)
        assert text.startswith(shown)
        assert len(text) - len(shown) == side.cut


def test_what_is_not_compared_is_said():
    diff = compare("x " + "word " * 9000, "y " + "word " * 9000)
    assert sum(len("".join(p.text for p in s.pieces).split()) for s in diff.left.stretches) == MOST_WORDS
    assert sum(len(piece.text) for piece in diff.left.rest) == MOST_REST
    assert diff.left.cut == 2 + 5 * 9000 - (2 + 5 * (MOST_WORDS - 1)) - MOST_REST
