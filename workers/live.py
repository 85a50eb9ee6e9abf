"""The text that is growing right now, in the cache for the run's page. Losing it loses nothing: the rows are the truth."""

import time
from typing import TYPE_CHECKING

from django.core.cache import cache

if TYPE_CHECKING:
    from inference import Tokenizer

EVERY_SECONDS = 0.2
LIFETIME_SECONDS = 60
SHOWN = 16  # samples whose text is kept; a page shows no more at once


def live_key(run_id: int) -> str:
    """The cache's key of a run's live text."""
    return f"live:{run_id}"


class LiveText:
    """Collects tokens of a chunk's samples and publishes their text a few times a second."""

    def __init__(self, run_id: int, tokenizer: "Tokenizer", samples: list[tuple[int, int, str]]) -> None:
        self._key, self._tokenizer, self._samples = live_key(run_id), tokenizer, samples
        self._bytes = [bytearray() for _ in samples]
        self._tokens = [0] * len(samples)
        self._ended = [False] * len(samples)
        self._began = time.monotonic()
        self._published = 0.0

    def add(self, rows: list[int], token_ids: list[int], *, ended: list[int]) -> None:
        """One decoding step: a token for each of `rows`; `ended` are the rows that finished with it."""
        done = set(ended)
        for row, token in zip(rows, token_ids, strict=True):
            self._tokens[row] += 1
            if row < SHOWN and row not in done:  # the last token is the stop token, which is no text
                self._bytes[row] += self._tokenizer.token_bytes(token)
        for row in ended:
            self._ended[row] = True
        if time.monotonic() - self._published >= EVERY_SECONDS:
            self.flush()

    def flush(self) -> None:
        """Publish what there is."""
        self._published = time.monotonic()
        samples = [
            {
                "problem_id": problem, "sample_index": index, "prompt": prompt, "tokens": self._tokens[i], "done": self._ended[i],
                "text": self._bytes[i].decode("utf-8", errors="ignore"),
            }
            for i, (problem, index, prompt) in enumerate(self._samples[:SHOWN])
        ]  # fmt: skip
        rate = sum(self._tokens) / max(self._published - self._began, 1e-6)
        state = {"samples": samples, "in_batch": len(self._samples), "tokens_per_second": rate, "updated": time.time()}
        cache.set(self._key, state, LIFETIME_SECONDS)
