"""Batches: whole traces one a row, loss on completions only, decided by seed, step and difficulty."""

import numpy as np
import pytest

from workers.trainers.batching import Document, batch_at, encode_item, grouped, pad, training_items
from workers.trainers.families import generate
from workers.trainers.text import BOS_ID, EOS_ID, build_tokenizer, completion_text


@pytest.fixture(scope="module")
def tokenizer():
    return build_tokenizer(seed=7, items_per_family=200)


def test_targets_are_inputs_moved_by_one_and_weights_sit_on_completions():
    rows = pad([Document([0, 10, 11, 12, 1], trained=2), Document([0, 20, 1], trained=1)])
    assert rows.inputs.tolist() == [[0, 10, 11, 12], [0, 20, 1, EOS_ID]]
    assert rows.targets.tolist() == [[10, 11, 12, 1], [20, 1, EOS_ID, EOS_ID]]
    assert rows.weights.tolist() == [[0, 0, 1, 1], [0, 1, 0, 0]]


def test_groups_hold_every_document_once_and_differ_little_in_length():
    documents = [Document([0, *[9] * n, 1], trained=1) for n in (50, 3, 40, 7, 45, 5)]
    groups = grouped(documents, 2)
    assert [rows.inputs.shape for rows in groups] == [(3, 8), (3, 51)]
    assert sum(int((rows.inputs == BOS_ID).sum()) for rows in groups) == 6
    assert len(grouped(documents, 4)) == 3  # two a group are enough


def test_weighted_targets_spell_the_completion(tokenizer):
    item = generate("chain_sum", 1, seed=4)[0]
    rows = pad([encode_item(tokenizer, item)])
    spelled = tokenizer.decode(rows.targets[rows.weights == 1].tolist(), skip_special_tokens=False)
    assert spelled == completion_text(item)


def test_prompt_and_completion_apart_are_the_tokens_of_the_whole(tokenizer):
    """The boundary is a special token, so nothing merges across it."""
    for family in ("gcd", "number_filtering", "letter_counting"):
        for item in generate(family, 20, seed=6):
            document = encode_item(tokenizer, item)
            text = tokenizer.decode(document.ids, skip_special_tokens=False)
            assert tokenizer.encode(text).ids == document.ids


def test_a_batch_is_decided_by_seed_and_step(tokenizer):
    def make(seed, step):
        batch = batch_at(tokenizer, seed=seed, step=step, documents=6, groups=2, hardest=3)
        return np.concatenate([rows.inputs.ravel() for rows in batch])

    assert np.array_equal(make(1, 5), make(1, 5))
    assert not np.array_equal(make(1, 5), make(1, 6))
    assert not np.array_equal(make(1, 5), make(2, 5))


def test_the_stream_is_of_the_training_side_and_keeps_to_its_difficulty():
    stream = training_items(seed=3, step=0, hardest=2)
    items = [next(stream) for _ in range(200)]
    assert {item.split for item in items} == {"train"}
    assert {item.difficulty for item in items} == {1, 2}
    assert len({item.family for item in items}) == 6


def test_little_is_padding(tokenizer):
    batch = batch_at(tokenizer, seed=1, step=0, documents=24, groups=3, hardest=3)
    places = sum(rows.inputs.size for rows in batch)
    used = sum(int((rows.inputs != EOS_ID).sum()) for rows in batch)
    assert used / places > 0.75
