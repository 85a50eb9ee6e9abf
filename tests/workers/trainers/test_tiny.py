"""The bundled checkpoint: whole, small, loadable, in the band it promises, and its card says what was measured."""

import json
from pathlib import Path

import pytest
from safetensors import safe_open
from tokenizers import Tokenizer

from workers.trainers.card import accuracy_table, draft_table, level_table, percent
from workers.trainers.drafts import measure
from workers.trainers.families import FAMILIES, generate
from workers.trainers.files import read_lines
from workers.trainers.network import TrainedNetwork
from workers.trainers.recipe import Recipe
from workers.trainers.shape import Shape
from workers.trainers.text import BOS, CHAT_TEMPLATE, prompt_text
from workers.trainers.tiny import LOG_NAME, write_card

TINY = Path(__file__).resolve().parents[3] / "webapp" / "starter" / "tiny"


@pytest.fixture(scope="module")
def accuracy():
    return json.loads((TINY / "accuracy.json").read_text(encoding="utf-8"))


def test_its_tensors_are_those_of_its_config_and_it_is_small():
    path = TINY / "model.safetensors"
    assert path.stat().st_size < 20e6
    network = TrainedNetwork(Shape(), seed=0)
    expected = {name: list(tensor.shape) for name, tensor in network.model.state_dict().items()}
    with safe_open(str(path), "pt") as stored:
        assert {name: list(stored.get_slice(name).get_shape()) for name in stored.keys()} == expected  # noqa: SIM118
    assert 2e6 < network.parameters() < 6e6
    config = json.loads((TINY / "config.json").read_text(encoding="utf-8"))
    assert config == Shape().hf()
    assert config["n_routed_experts"] >= 16
    assert config["num_hidden_layers"] - config["first_k_dense_replace"] >= 3
    assert config["num_nextn_predict_layers"] == 1


def test_its_tokenizer_reads_a_prompt_and_its_template_is_ours():
    tokenizer = Tokenizer.from_file(str(TINY / "tokenizer.json"))
    ids = tokenizer.encode(prompt_text("What is 12 + 45?")).ids
    assert ids[:2] == [0, 2]
    assert ids[-1] == 3
    config = json.loads((TINY / "tokenizer_config.json").read_text(encoding="utf-8"))
    assert config["chat_template"] == CHAT_TEMPLATE
    assert config["bos_token"] == BOS


def test_its_accuracy_lies_in_the_promised_band(accuracy):
    overall = accuracy["overall"]
    assert overall["problems"] >= 200
    assert 0.4 <= overall["pass@1"] <= 0.95
    assert overall["pass@8"] >= overall["pass@1"] + 0.05
    assert set(accuracy["families"]) == set(FAMILIES)


def test_no_expert_is_dead(accuracy):
    experts = accuracy["experts"]
    assert len(experts["layers"]) >= 3
    assert experts["least_share"] >= 0.2 * experts["even_share"]
    assert all(sum(layer) == pytest.approx(1, abs=1e-3) for layer in experts["share"])


def test_its_mtp_guesses_what_the_model_says(accuracy):
    mtp = accuracy["mtp"]
    assert mtp["agreement"] >= 0.8  # DeepSeek-V3 5.4.3 states 85 to 90 % of its second tokens accepted
    assert set(mtp["families"]) == set(FAMILIES)
    assert mtp["least_share"] >= 0.2 * accuracy["experts"]["even_share"]


def test_its_agreement_can_be_measured_again(accuracy):
    items = generate(
        "letter_counting", accuracy["plan"]["problems_per_family"], accuracy["plan"]["seed"], split="heldout"
    )
    again = measure(TINY, items)["families"]["letter_counting"]
    stated = accuracy["mtp"]["families"]["letter_counting"]
    assert again["guesses"] == stated["guesses"]
    assert again["agreement"] == pytest.approx(
        stated["agreement"], abs=0.002
    )  # another processor may break a tie otherwise


def test_its_card_says_what_was_measured(accuracy):
    card = (TINY / "README.md").read_text(encoding="utf-8")
    assert accuracy_table(accuracy) in card
    assert level_table(accuracy) in card
    assert draft_table(accuracy["mtp"]) in card
    assert f"pass@1 {percent(accuracy['overall']['pass@1'])}" in card
    assert "What it cannot do" in card
    assert "license: apache-2.0" in card


def test_its_card_is_what_its_files_give(tmp_path):
    for path in TINY.iterdir():
        if path.suffix in {".json", ".jsonl"}:
            (tmp_path / path.name).write_bytes(path.read_bytes())
    write_card(tmp_path)
    assert (tmp_path / "README.md").read_text(encoding="utf-8") == (TINY / "README.md").read_text(encoding="utf-8")


def test_its_log_is_of_its_recipe():
    recipe, log = Recipe.load(TINY / "recipe.json"), read_lines(TINY / LOG_NAME)
    assert 0 <= recipe.steps - log[-1]["step"] < recipe.log_every
    assert log[-1]["loss"] < 0.25 * log[0]["loss"]


def test_its_examples_are_of_every_family_and_unseen():
    rows = json.loads((TINY / "examples.json").read_text(encoding="utf-8"))
    assert {row["family"] for row in rows} == set(FAMILIES)
    unseen = {item.prompt for name in FAMILIES for item in generate(name, 40, seed=31, split="heldout")}
    assert {row["prompt"] for row in rows} <= unseen
    assert all(row["note"] for row in rows)


def test_the_engine_loads_it_and_it_reasons():
    from inference import Engine, SamplingParams
    from workers.trainers.evaluate import read_answer, well_formed

    engine = Engine.load(TINY, dtype="float32", device="cpu")
    tokenizer = Tokenizer.from_file(str(TINY / "tokenizer.json"))
    items = [item for name in FAMILIES for item in generate(name, 3, seed=52, split="heldout")]
    prompts = [tokenizer.encode(prompt_text(item.prompt)).ids for item in items]
    outs = engine.generate(prompts, SamplingParams(max_tokens=400, temperature=0.0, stop_token_ids=(1,)), capture=False)
    texts = [tokenizer.decode([i for i in out[0].token_ids if i != 1], skip_special_tokens=False) for out in outs]
    formed = sum(well_formed(text, out[0].finish_reason) for text, out in zip(texts, outs, strict=True))
    right = sum(
        FAMILIES[item.family].score(item, read_answer(text)) == 1.0 for item, text in zip(items, texts, strict=True)
    )
    assert formed >= 0.8 * len(items)
    assert right >= 0.4 * len(items)
