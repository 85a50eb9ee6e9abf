"""Packing: whole traces in rows, loss on completions only, a batch that its seed and step decide."""

import numpy as np
import pytest

from workers.trainers.families import generate
from workers.trainers.packing import Document, batch_at, encode_item, pack
from workers.trainers.text import BOS_ID, EOS_ID, build_tokenizer, completion_text


@pytest.fixture(scope="module")
def tokenizer():
    return build_tokenizer(seed=7, items_per_family=200)


def test_targets_are_inputs_moved_by_one_and_weights_sit_on_completions():
    rows = pack([Document([0, 10, 11, 12, 1], trained=2), Document([0, 20, 1], trained=1)], batch=1, length=9)
    assert rows.inputs.tolist() == [[0, 10, 11, 12, 1, 0, 20, 1, EOS_ID]]
    assert rows.targets.tolist() == [[10, 11, 12, 1, 0, 20, 1, EOS_ID, EOS_ID]]
    assert rows.weights.tolist() == [[0, 0, 1, 1, 0, 0, 1, 0, 0]]


def test_a_document_that_fits_nowhere_is_dropped_and_none_is_cut():
    documents = [Document([0, *range(10, 10 + n), 1], trained=1) for n in (6, 5, 4)]
    rows = pack(documents, batch=2, length=7)
    assert (rows.inputs == BOS_ID).sum() == 2
    assert rows.weights.sum() == 2


def test_a_document_longer_than_a_row_is_refused():
    with pytest.raises(ValueError, match="9 tokens does not fit a row of 7"):
        pack([Document(list(range(9)), trained=1)], batch=1, length=7)


def test_weighted_targets_spell_the_completion(tokenizer):
    item = generate("chain_sum", 1, seed=4)[0]
    document = encode_item(tokenizer, item)
    rows = pack([document], batch=1, length=400)
    spelled = tokenizer.decode(rows.targets[rows.weights == 1].tolist(), skip_special_tokens=False)
    assert spelled == completion_text(item)


def test_prompt_and_completion_apart_are_the_tokens_of_the_whole(tokenizer):
    """The boundary is a special token, so nothing merges across it."""
    for family in ("gcd", "number_filtering", "spell_backward"):
        for item in generate(family, 20, seed=6):
            document = encode_item(tokenizer, item)
            text = tokenizer.decode(document.ids, skip_special_tokens=False)
            assert tokenizer.encode(text).ids == document.ids


def test_a_batch_is_decided_by_seed_and_step(tokenizer):
    make = lambda seed, step: batch_at(tokenizer, seed=seed, step=step, batch=4, length=384)  # noqa: E731
    assert np.array_equal(make(1, 5).inputs, make(1, 5).inputs)
    assert not np.array_equal(make(1, 5).inputs, make(1, 6).inputs)
    assert not np.array_equal(make(1, 5).inputs, make(2, 5).inputs)


def test_rows_are_well_filled(tokenizer):
    rows = batch_at(tokenizer, seed=1, step=0, batch=10, length=384)
    assert (rows.inputs != EOS_ID).mean() > 0.85
    assert 0.5 < rows.weights.mean() < 1.0
