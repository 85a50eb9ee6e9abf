"""A checkpoint directory becomes an engine, or is refused in words."""

import pytest

from tests.workers import checkpoint
from webapp.engines.models import Engine
from workers.registering import description, register

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("nothing_sent")]


def test_registering_reads_facts_hash_examples_and_card(engine, folder):
    row = Engine.objects.get(name="random")

    assert (row.facts["layers"], row.facts["n_routed_experts"], row.facts["context"]) == (3, 8, 256)
    assert row.facts["active_parameters"] < row.facts["parameters"]
    assert row.can_routing_ids
    assert len(row.checkpoint_hash) == 64
    assert row.examples == checkpoint.EXAMPLES
    assert row.description.startswith("It says nothing that anyone could use.")
    assert "table" not in row.description
    assert "license" not in row.description
    assert row.location == str(folder.resolve())


def test_registering_refuses_pickled_weights_in_words(tmp_path):
    where = checkpoint.make(tmp_path / "pickled")
    (where / "model.safetensors").rename(where / "pytorch_model.bin")
    with pytest.raises(ValueError, match="Convert them to safetensors"):
        register(where, "pickled", by=None)


def test_registering_refuses_examples_that_are_none(tmp_path):
    where = checkpoint.make(tmp_path / "odd")
    (where / "examples.json").write_text("{not json")
    with pytest.raises(ValueError, match=r"examples\.json is not JSON"):
        register(where, "odd", by=None)


def test_a_card_becomes_plain_words(tmp_path):
    card = "---\nlicense: x\n---\n# Title\n\nA **small** model\nof `few` words.\n\n## What it can\n\n- one\n- two\n\n| a | b |\n|---|---|\n"
    (tmp_path / "README.md").write_text(card)
    assert description(tmp_path) == "A small model of few words.\n\nWhat it can\n\n- one\n- two"
