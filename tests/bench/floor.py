"""The distance to a floor: one decode step's matrix products alone, against the engine's whole step.

The floor multiplies matrices of the checkpoint's shapes and nothing else: projections that read the same input are one product, attention is
absorbed and of one context (the mean of the run), and each layer runs as many experts as a step of the run chose on average, each with an equal
share of the tokens. No norm, rotation, softmax, choice of experts, cache write, sampling or record; every result lands in a buffer made before.
A kernel that fuses products may come nearer than products by `torch.mm` could, or pass them.
"""

from collections.abc import Callable

import numpy as np
import torch

from inference import Engine, SamplingParams
from inference.config import DeepseekConfig
from tests.bench.measure import Bench, Clock, median

PROMPT = 64


def floor(bench: Bench) -> None:
    """Engine speed over floor speed, decode alone."""
    if bench.engine.config.kv_lora_rank is None:
        bench.table("distance to the floor", ("",), [("only the products of latent attention are counted",)])
        return
    bench.table(
        f"distance to the floor, tokens a second, decode alone, mean context {PROMPT + bench.tokens // 2}",
        ("batch", "experts a step and layer", "engine", "products alone", "engine / floor"),
        (_against_products(bench, batch) for batch in bench.batches),
    )


def _against_products(bench: Bench, batch: int) -> tuple:
    chosen = mean_experts(bench.engine, bench.prompts(batch, PROMPT, 0), bench.tokens)
    step = products(bench.engine.config, batch, PROMPT + bench.tokens // 2, chosen)
    got = bench.alternate(
        {
            "ours": lambda number: bench.ours(bench.prompts(batch, PROMPT, number), bench.tokens).decode,
            "floor": lambda number: batch * bench.tokens / seconds(step, bench.tokens, bench.clock),
        }
    )
    engine, bottom = median(got["ours"]), median(got["floor"])
    percent, target = 100 * engine / bottom, bench.targets.get("floor", {}).get(batch)
    wanted = f" of {target:g} {'ok' if percent >= target else 'MISSED'}" if target else ""
    return batch, f"{chosen:.1f}", engine, bottom, f"{percent:.0f} %{wanted}"


def mean_experts(engine: Engine, rows: list[list[int]], tokens: int) -> float:
    """How many different experts a decoding step of these rows ran in a layer, on average. All rows must have one length."""
    params = SamplingParams(max_tokens=tokens, temperature=0, ignore_eos=True)
    done = [row[0] for row in engine.generate(rows, params, capture=True, speculate=False)]
    chosen = np.stack([completion.routing.expert_ids[len(rows[0]) :] for completion in done])  # [B, S, L, K]
    steps, layers = chosen.shape[1:3]
    if not layers or not steps:
        return 0.0
    return float(np.mean([len(np.unique(chosen[:, s, i])) for s in range(steps) for i in range(layers)]))


def products(config: DeepseekConfig, batch: int, context: int, experts: float) -> list[Callable[[], object]]:
    """A step's products, in order, ready to be called."""
    c = config
    layers = range(c.num_hidden_layers)
    calls = []
    for layer in layers:
        calls += _attention(c, batch, context)
        calls += _experts(c, batch, experts) if layer in c.router_layers else _mlp(c, batch, c.intermediate_size)
    return [*calls, _mm(batch, c.hidden_size, c.vocab_size)]


def seconds(step: list[Callable[[], object]], count: int, clock: Clock) -> float:
    """How long `count` steps take."""
    began = clock()
    with torch.inference_mode():
        for _ in range(count):
            for product in step:
                product()
    return clock() - began


def _attention(c: DeepseekConfig, batch: int, context: int) -> list[Callable[[], object]]:
    """Absorbed: queries into latent space, scores and values over one latent cache for all heads, back to the heads' values."""
    heads, latent, rope = c.num_attention_heads, c.kv_lora_rank, c.qk_rope_head_dim
    query = heads * (c.qk_nope_head_dim + rope)
    into = (
        [_mm(batch, c.hidden_size, c.q_lora_rank + latent + rope), _mm(batch, c.q_lora_rank, query)]
        if c.q_lora_rank
        else [_mm(batch, c.hidden_size, query + latent + rope)]
    )
    cache = torch.randn(batch, context, latent + rope)
    return [
        *into,
        _bmm(torch.randn(heads, batch, c.qk_nope_head_dim), torch.randn(heads, c.qk_nope_head_dim, latent)),
        _bmm(torch.randn(batch, heads, latent + rope), cache.transpose(1, 2)),
        _bmm(torch.rand(batch, heads, context), cache[:, :, :latent]),
        _bmm(torch.randn(heads, batch, latent), torch.randn(heads, latent, c.v_head_dim)),
        _mm(batch, heads * c.v_head_dim, c.hidden_size),
    ]


def _experts(c: DeepseekConfig, batch: int, experts: float) -> list[Callable[[], object]]:
    """Gate, shared expert, and the mean number of experts with equal shares of the pairs of token and expert."""
    pairs, count = batch * c.num_experts_per_tok, max(1, round(experts))
    calls = [_mm(batch, c.hidden_size, c.n_routed_experts)]
    if c.n_shared_experts:
        calls += _mlp(c, batch, c.n_shared_experts * c.moe_intermediate_size)
    for i in range(count):
        calls += _mlp(c, max(1, pairs // count + (i < pairs % count)), c.moe_intermediate_size)
    return calls


def _mlp(c: DeepseekConfig, rows: int, width: int) -> list[Callable[[], object]]:
    return [_mm(rows, c.hidden_size, 2 * width), _mm(rows, width, c.hidden_size)]


def _mm(rows: int, inner: int, outer: int) -> Callable[[], object]:
    """[rows, inner] times a weight of its own, stored as checkpoints do: [outer, inner]."""
    x, weight, out = torch.randn(rows, inner), torch.randn(outer, inner).t(), torch.empty(rows, outer)
    return lambda: torch.mm(x, weight, out=out)


def _bmm(left: torch.Tensor, right: torch.Tensor) -> Callable[[], object]:
    out = torch.empty(len(left), left.shape[1], right.shape[2])
    return lambda: torch.bmm(left, right, out=out)
