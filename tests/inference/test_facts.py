"""Facts from a config alone: what the papers and README files of the published models state, and counts that a built model confirms."""

import json

import pytest
import torch

from inference import facts_of
from inference.facts import facts
from inference.official import OFFICIAL
from tests.inference.configs import SMALL, small

# billions: in all; at work with embedding and head, with the head alone, with neither
PARAMETERS = {
    "LLM-7B": (6.910, 6.910, 6.491, 6.072),
    "LLM-67B": (67.425, 67.425, 66.586, 65.747),
    "MoE-16B": (16.376, 2.829, 2.619, 2.409),
    "V2-Lite": (15.706, 2.661, 2.451, 2.242),
    "V2": (235.741, 21.376, 20.852, 20.327),
    "V3": (671.026, 37.552, 36.626, 35.699),
    "R1": (671.026, 37.552, 36.626, 35.699),
    "Moonlight": (15.960, 2.915, 2.579, 2.244),
    "R1-Distill-Qwen-1.5B": (1.777, 1.777, 1.544, 1.310),
    "R1-Distill-Llama-8B": (8.030, 8.030, 7.505, 6.980),
}
# bytes a token in 16 bit: kept, and were it MHA
CACHE = {
    "LLM-7B": (491_520, 491_520),
    "LLM-67B": (389_120, 3_112_960),
    "MoE-16B": (229_376, 229_376),
    "V2-Lite": (31_104, 221_184),
    "V2": (69_120, 3_932_160),
    "V3": (70_272, 3_997_696),
}


@pytest.mark.parametrize("name", PARAMETERS)
def test_parameters_of_published_models(name):
    known = facts_of(name)
    active = known["active_parameters"]
    head_only = active - known["embedding_parameters"]
    counts = (known["parameters"], active, head_only, head_only - known["head_parameters"])
    assert tuple(round(count / 1e9, 3) for count in counts) == PARAMETERS[name]


@pytest.mark.parametrize("name", CACHE)
def test_cache_of_published_models(name):
    known = facts_of(name)
    assert (known["cache_bytes_per_token"], known["cache_bytes_per_token_mha"]) == CACHE[name]


def test_mla_keeps_what_grouped_queries_of_two_and_a_quarter_groups_would():
    known = facts_of("V2")
    assert known["gqa_groups"] == 8
    assert known["cache_bytes_per_token"] / known["cache_bytes_per_token_gqa"] * 8 == 2.25


def test_the_gqa_of_the_comparison_is_the_models_own_where_it_has_one():
    known = facts_of("R1-Distill-Qwen-7B")
    assert known["gqa_groups"] == 4
    assert known["cache_bytes_per_token_gqa"] == known["cache_bytes_per_token"]


def test_multi_token_prediction_of_v3_is_counted_apart():
    known = facts_of("V3")
    assert known["mtp_depth"] == 1
    assert round(known["mtp_parameters"] / 1e9, 2) == 11.61
    assert known["mtp_cache_bytes_per_token"] == 576 * 2
    assert facts_of("Moonlight")["mtp_parameters"] == 0


def test_context_is_the_configs_and_what_the_authors_state_stands_beside_it():
    known = facts_of("V2-Lite")
    assert (known["context"], known["stated_context"]) == (163_840, 32_768)


@pytest.mark.parametrize("name", OFFICIAL)
def test_every_published_model_is_understood_and_plain_json(name):
    known = facts_of(f"DeepSeek-{name.upper()}")
    assert known["name"] == name
    assert json.loads(json.dumps(known)) == known


@pytest.mark.parametrize("model_type", [name for name in SMALL if name != "deepseek"])
def test_parameters_are_those_of_the_model_that_transformers_builds(model_type):
    from transformers import AutoConfig, AutoModelForCausalLM

    given = {key: value for key, value in SMALL[model_type].items() if key != "model_type"}
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(AutoConfig.for_model(model_type, **given))
    assert facts(small(model_type))["parameters"] == sum(p.numel() for p in model.parameters())


def test_a_shared_embedding_is_counted_once():
    own, tied = facts(small("deepseek_v3")), facts(small("deepseek_v3", tie_word_embeddings=True))
    assert own["parameters"] - tied["parameters"] == 97 * 48
    assert tied["head_parameters"] == 0


def test_a_dense_model_has_no_gate_and_works_whole():
    known = facts(small("qwen2"))
    assert known["scoring_func"] is None
    assert known["active_parameters"] == known["parameters"]
    assert known["router_layers"] == []


def test_facts_of_a_folder_and_of_its_config_are_the_same(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps(SMALL["deepseek_v2"]))
    assert facts_of(tmp_path) == facts_of(str(tmp_path / "config.json")) == facts(small("deepseek_v2"))


@pytest.mark.parametrize(
    ("source", "words"),
    [("GPT-2", "no published model"), ("some/where", "neither a checkpoint"), ("x.json", "neither")],
)
def test_an_unknown_source_is_named_with_what_is_known(source, words):
    with pytest.raises(ValueError, match=words) as caught:
        facts_of(source)
    assert "V2-Lite" in str(caught.value)


def test_a_folder_without_config_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"no config\.json in"):
        facts_of(tmp_path)
