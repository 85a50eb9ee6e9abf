"""What "equal" means between the engine and a reference, and the texts that both are asked about."""

from collections.abc import Sequence

import numpy as np
import torch

from inference import Engine, SamplingParams

TOLERANCE = 1e-4  # of a logit, float32
LENGTHS = [1, 7, 90]  # alone, short, and past the original context of every scaling


def text(seed: int, length: int, vocabulary: int = 97) -> list[int]:
    """Random tokens, none of which ends a text."""
    return np.random.default_rng(seed).integers(2, vocabulary, length).tolist()


def mixed(routing, n_experts: int) -> np.ndarray:
    """Dense weights [S, L, E] of a routing."""
    out = np.zeros((*routing.expert_ids.shape[:2], n_experts), np.float32)
    np.put_along_axis(out, routing.expert_ids.astype(np.int64), routing.gate_weights.astype(np.float32), 2)
    return out


def sets(routing) -> np.ndarray:
    """Chosen experts, in an order that means nothing."""
    return np.sort(routing.expert_ids, -1)


class Gap:
    """How far the engine is from a reference over one text."""

    def __init__(self, engine: Engine, logits: torch.Tensor, mixes: Sequence[torch.Tensor], ids: list[int]) -> None:
        ours = engine.forward(ids)
        self.logits = float(np.abs(ours.logits[0] - logits.numpy()).max())
        dense = mixed(ours.routing, mixes[0].shape[1]) if mixes else np.zeros((len(ids), 0, 0))
        assert dense.shape[1] == len(mixes)
        pairs = [(dense[:, layer], mix.numpy()) for layer, mix in enumerate(mixes)]
        self.other_experts = sum(int(((mine > 0) != (mix > 0)).any(-1).sum()) for mine, mix in pairs)
        self.weights = max(
            (float(np.abs(mine / mix.max() - mix / mix.max()).max()) for mine, mix in pairs), default=0.0
        )

    @property
    def equal(self) -> bool:
        """Logits within the tolerance, the same experts for every token and layer, their weights alike to float16."""
        return self.logits < TOLERANCE and self.other_experts == 0 and self.weights < 1e-3

    def __repr__(self) -> str:
        return f"logits differ by {self.logits:.2e}, {self.other_experts} other choices of experts, weights differ by {self.weights:.2e}"


def cached_equals_full(engine: Engine) -> None:
    """Ragged prompts, two samples of each, sampled through the cache: every probability and route is that of one plain pass."""
    prompts = [text(1, 3), text(2, 41), text(3, 17)]
    params = SamplingParams(max_tokens=40, temperature=1.0, seed=5, n=2, ignore_eos=True)
    for prompt, group in zip(prompts, engine.generate(prompts, params), strict=True):
        for completion in group:
            ids = prompt + completion.token_ids
            full = engine.forward(ids)
            rows = torch.log_softmax(torch.from_numpy(full.logits[0][len(prompt) - 1 : -1]), -1)
            picked = rows.gather(1, torch.tensor(completion.token_ids)[:, None])[:, 0].numpy()
            assert np.abs(picked - completion.logprobs).max() < TOLERANCE
            assert np.abs(-(rows.exp() * rows).sum(-1).numpy() - completion.entropies).max() < TOLERANCE
            if full.routing.layers:
                assert (sets(completion.routing) == sets(full.routing)[:-1]).all()


# bfloat16 keeps eight bits, and what a layer rounds the next one carries on; a token whose router was nearly undecided goes to another expert, and is off
# by more. So: this share of the tokens at least has every logit within this share of the largest one, and this share of routes at most is another.
ROUGH_TOKENS, ROUGH_LOGIT, OTHER_ROUTES = 0.9, 0.05, 0.05


def off_by_token(logits: np.ndarray, exact: np.ndarray) -> np.ndarray:
    """Largest difference of a token's logits [S], as a share of the largest logit of all."""
    return np.abs(logits - exact).max(-1) / np.abs(exact).max()


def rough(engine: Engine, logits: torch.Tensor, mixes: Sequence[torch.Tensor], ids: list[int]) -> np.ndarray:
    """Hold a bfloat16 engine against float32; returns how far each token is off."""
    off = off_by_token(engine.forward(ids).logits[0], logits.numpy())
    assert (off < ROUGH_LOGIT).mean() >= ROUGH_TOKENS
    assert Gap(engine, logits, mixes, ids).other_experts <= OTHER_ROUTES * len(ids) * len(mixes)
    return off


def greedy(engine: Engine, prompt: list[int], count: int = 24) -> list[int]:
    """What the engine says at temperature 0."""
    params = SamplingParams(max_tokens=count, temperature=0, ignore_eos=True)
    return engine.generate([prompt], params)[0][0].token_ids


def greedy_of(model, prompt: list[int], count: int = 24) -> list[int]:
    """What transformers' own generate says at temperature 0."""
    tokens = model.generate(
        torch.tensor([prompt]),
        max_new_tokens=count,
        min_new_tokens=count,
        do_sample=False,
        eos_token_id=None,
        pad_token_id=0,
    )
    return tokens[0, len(prompt) :].tolist()
