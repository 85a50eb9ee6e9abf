"""The text that is growing right now, in the cache for the run's page. Losing it loses nothing: the rows are the truth.

Think and answer are told apart here, because the page may not import a parser. A cache that is away is no reason to stop sampling.
"""

import codecs
import logging
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from django.core.cache import cache
from redis.exceptions import RedisError

from workers.parsing import answer_text, parse, think_text

if TYPE_CHECKING:
    from inference import Step, Tokenizer
    from workers.planning import Asked

logger = logging.getLogger(__name__)

EVERY_SECONDS = 0.2
LIFETIME_SECONDS = 60
SHOWN = 12  # samples whose text is kept; a page shows no more at once
SHOWN_CHARS = 6_000  # of each pane, its end


def live_key(run_id: int) -> str:
    """The cache's key of a run's live text."""
    return f"live:{run_id}"


class LiveText:
    """Collects the tokens of a chunk's samples and publishes their text a few times a second.

    `saved` of the run's `planned` samples were there before this chunk; they make the estimate of the time that remains.
    """

    def __init__(
        self,
        run_id: int,
        tokenizer: "Tokenizer",
        asked: Sequence["Asked"],
        *,
        saved: int,
        planned: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._key, self._tokenizer, self._clock = live_key(run_id), tokenizer, clock
        self._saved, self._planned = saved, planned
        self._who = [(one, number) for one in asked for number in range(len(one.samples))]
        self._row = {
            (p, s): row
            for row, (p, s) in enumerate((p, s) for p, one in enumerate(asked) for s in range(len(one.samples)))
        }
        self._bytes = [bytearray() for _ in self._who]
        self._tokens = [0] * len(self._who)
        self._ended = [False] * len(self._who)
        self._away = False
        self._began = clock()
        self._published = self._began - EVERY_SECONDS

    @property
    def tokens(self) -> int:
        """Tokens sampled so far."""
        return sum(self._tokens)

    def add(self, step: "Step") -> None:
        """One step: tokens of samples that run, and which of them ended with their last one."""
        ended = {(f.prompt, f.sample): f.completion.finish_reason for f in step.finished}
        last = {
            place: number for number, place in enumerate(step.rows)
        }  # where tokens are drafted a sample can have two
        for number, (place, token) in enumerate(zip(step.rows, step.token_ids, strict=True)):
            row = self._row[place]
            self._tokens[row] += 1
            stops = ended.get(place) == "stop" and last[place] == number  # a stop token is no text
            if row < SHOWN and not stops:
                self._bytes[row] += self._tokenizer.token_bytes(token)
        for place in ended:
            self._ended[self._row[place]] = True
        if self._clock() - self._published >= EVERY_SECONDS:
            self.publish()

    def publish(self) -> None:
        """Put what there is into the cache."""
        self._published = self._clock()
        rate = self.tokens / max(self._published - self._began, 1e-3)
        state = {
            "samples": [self._sample(row) for row in range(min(SHOWN, len(self._who)))],
            "in_batch": len(self._who),
            "done": self._saved + sum(self._ended),
            "tokens_per_second": rate,
            "seconds_left": self._seconds_left(rate),
            "updated": time.time(),
        }
        try:
            cache.set(self._key, state, LIFETIME_SECONDS)
        except (RedisError, OSError) as error:
            if not self._away:  # once a chunk is enough to know
                logger.warning("live text is not shown, the cache is away: %s", error)
            self._away = True

    def _sample(self, row: int) -> dict[str, object]:
        asked, number = self._who[row]
        text = codecs.getincrementaldecoder("utf-8")("replace").decode(bytes(self._bytes[row]), final=self._ended[row])
        segments = parse(asked.prompt, None, text, "").segments
        return {
            "problem_id": asked.problem_id, "sample_index": asked.samples[number], "prompt": asked.prompt, "text": text,
            "think": think_text(segments, None, text).lstrip("\n")[-SHOWN_CHARS:], "answer": answer_text(segments, None, text).lstrip("\n")[-SHOWN_CHARS:],
            "tokens": self._tokens[row], "done": self._ended[row],
        }  # fmt: skip

    def _seconds_left(self, rate: float) -> float | None:
        """The time until the run is whole at this rate, from the length of the samples that ended; None before one has."""
        pairs = list(zip(self._tokens, self._ended, strict=True))
        lengths = [tokens for tokens, ended in pairs if ended]
        if not lengths or not rate:
            return None
        mean = sum(lengths) / len(lengths)
        # a sample that is longer than the mean already is taken to need a quarter more
        here = sum(max(mean, tokens * 1.25) - tokens for tokens, ended in pairs if not ended)
        later = max(0, self._planned - self._saved - len(pairs)) * mean
        return (here + later) / rate
