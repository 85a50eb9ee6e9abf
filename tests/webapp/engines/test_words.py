"""An architecture in words, row by row."""

import pytest

from webapp.engines import words

V3 = {
    "architecture": "DeepSeek-V3", "model_type": "deepseek_v3", "parameters": 671_026_404_352, "active_parameters": 37_551_987_712,
    "embedding_parameters": 926_679_040, "head_parameters": 926_679_040, "layers": 61, "router_layers": list(range(3, 61)),
    "n_routed_experts": 256, "n_shared_experts": 1, "top_k": 8, "n_group": 8, "topk_group": 4, "scoring_func": "sigmoid",
    "topk_method": "noaux_tc", "correction_bias": True, "norm_topk_prob": True, "routed_scaling_factor": 2.5, "context": 163_840,
    "rope_scaling": "YaRN", "rope_factor": 40, "original_context": 4096, "stated_context": 131_072, "attention": "MLA",
    "attention_heads": 128, "key_value_heads": None, "cache_bytes_per_token": 70_272, "cache_bytes_per_token_mha": 3_997_696,
    "cache_bytes_per_token_gqa": 249_856, "gqa_groups": 8, "mtp_depth": 1, "mtp_parameters": 11_610_000_000,
    "mtp_cache_bytes_per_token": 1152, "fp8_block": [128, 128],
}  # fmt: skip


def said(facts):
    return {row.label: (row.value, row.note) for row in words.rows(facts)}


def test_v3_in_words():
    known = said(V3)
    assert known["Parameters"] == ("671.026 billion", "671,026,404,352")
    assert known["At work for a token"][0] == "37.552 billion"
    assert "36.625 billion with the head alone" in known["At work for a token"][1]
    assert known["Layers with a router"] == ("58", "layers 3–60, counted from 0")
    assert known["Expert groups"] == ("4 of 8 for each token", "")
    assert known["Gate"][0].startswith("sigmoid of each expert, chosen with a correction bias")
    assert known["Gate"][0].endswith("groups by the sum of their two best, weights normalised, times 2.5")
    assert known["Context"] == ("163,840 tokens", "YaRN, factor 40 over 4,096; its authors state 131,072")
    assert known["Cache"] == ("70,272 bytes a token, in 16 bit", "")
    assert known["Cache, were it MHA"] == ("3,997,696 bytes a token", "56.9 times as much")
    assert known["Cache, were it GQA-8"][1] == "3.6 times as much"
    assert known["Multi-token prediction"][0] == "depth 1"
    assert known["Weights"] == ("fp8 (e4m3)", "a scale for each 128 × 128")


def test_a_dense_model_has_no_line_about_a_gate():
    known = said(
        {"n_routed_experts": 0, "attention": "GQA", "attention_heads": 64, "key_value_heads": 8, "mtp_depth": 0}
    )
    assert known["Experts"] == ("none: a dense model", "")
    assert known["Attention"] == ("GQA", "64 heads, 8 of keys and values")
    assert known["Multi-token prediction"] == ("none", "")
    assert "Gate" not in known


def test_no_facts_no_rows():
    assert words.rows({}) == []


def test_facts_as_they_were_first_stored_still_read_well():
    old = {
        "architecture": "DeepSeek-V3", "parameters": 3_254_112, "layers": 6, "router_layers": [1, 3], "n_routed_experts": 16,
        "n_shared_experts": 1, "top_k": 4, "n_group": 4, "topk_group": 2, "context": 1024, "vocabulary": 512, "cache_bytes_per_token": 640,
    }  # fmt: skip
    known = said(old)
    assert known["Parameters"] == ("3,254,112", "")
    assert known["Layers with a router"] == ("2", "layers 1, 3, counted from 0")
    assert "At work for a token" not in known
    assert "Gate" not in known


@pytest.mark.parametrize(
    ("facts", "line"),
    [
        ({"scoring_func": "softmax", "topk_method": "greedy"}, "softmax over all experts, weights as they are"),
        (
            {"scoring_func": "softmax", "topk_method": "group_limited_greedy", "n_group": 8, "topk_group": 3, "routed_scaling_factor": 16.0},
            "softmax over all experts, groups by their best, weights as they are, times 16",
        ),
        ({}, ""),
    ],
)  # fmt: skip
def test_the_gate_in_a_line(facts, line):
    assert words.gate(facts) == line
