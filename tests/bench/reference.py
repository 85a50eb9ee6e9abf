"""The other side: transformers on the same checkpoint, float32, with its own defaults (SDPA attention, grouped experts)."""

from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from transformers import DeepseekV3ForCausalLM, StoppingCriteria, StoppingCriteriaList
from transformers.utils import logging


class _Clock(StoppingCriteria):
    """Notes when the first token of all rows is there; never stops anything."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.first, self.clock = 0.0, clock

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor, **kwargs) -> torch.Tensor:
        self.first = self.first or self.clock()
        return torch.zeros(len(input_ids), dtype=torch.bool)


class Reference:
    """`generate` and a prompt's forward pass, timed."""

    def __init__(self, path: Path, clock: Callable[[], float]) -> None:
        self.clock = clock
        logging.set_verbosity_error()
        logging.disable_progress_bar()
        self.model = DeepseekV3ForCausalLM.from_pretrained(path, dtype=torch.float32).eval()

    def generate(self, rows: Sequence[Sequence[int]], tokens: int) -> tuple[float, float]:
        """Tokens a second, greedy and without a stop: of the whole call, and after the first token."""
        ids, clock = torch.tensor(rows), _Clock(self.clock)
        began = self.clock()
        with torch.inference_mode():
            out = self.model.generate(
                ids, attention_mask=torch.ones_like(ids), max_new_tokens=tokens, min_new_tokens=tokens, do_sample=False,
                eos_token_id=None, pad_token_id=0, stopping_criteria=StoppingCriteriaList([clock]),
            )  # fmt: skip
        end = self.clock()
        if out.shape[1] != ids.shape[1] + tokens:
            raise AssertionError(f"{out.shape[1] - ids.shape[1]} tokens came instead of {tokens}")
        count = len(rows) * tokens
        return count / (end - began), (count - len(rows)) / max(end - clock.first, 1e-9)

    def prefill(self, rows: Sequence[Sequence[int]]) -> float:
        """Prompt tokens a second of one forward pass that keeps its cache and the logits of each last position."""
        ids = torch.tensor(rows)
        began = self.clock()
        with torch.inference_mode():
            self.model(ids, use_cache=True, logits_to_keep=1)
        return ids.numel() / (self.clock() - began)
