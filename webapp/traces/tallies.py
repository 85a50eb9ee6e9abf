"""What a trace adds to its run's counts, and how such parts are summed. Plain values: no row is read or written here.

A run of 100,000 traces is opened often and written once, so its page reads counts that the writes keep:

  RunTotals    one row: finish reasons, findings, shortest and longest; only adding traces changes it
  RunBand      by verdict and band of length: how many and sums; a new verdict moves a trace from one row to another
  RunProblem   by problem: samples, judged, correct; pass@k needs only how many problems have the same two numbers
  RunRouting   by layer: tokens by expert, from the load that the token store counts as it writes a trace

Each is changed in the transaction that adds the traces or verdicts (tally_actions.py), under the lock of the run's RunTotals row, from
exactly the traces that were new or changed; so a job that does a chunk twice counts it once. `manage.py recount_runs` makes all of it anew.
Bands are quarters of an octave: 60 rows cover 1 to 32,768 tokens, and neighbours can be merged for display.
"""

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from webapp.traces.models import CurrentVerdict, LengthUnit

STEPS = 4  # bands an octave


@dataclass(frozen=True, slots=True)
class Counted:
    """The values of a trace that counts are made of."""

    problem_id: int
    verdict: str
    completion_tokens: int | None
    think_chars: int
    answer_chars: int
    mean_logprob: float | None
    mean_entropy: float | None


COLUMNS = ("problem_id", "verdict", "completion_tokens", "think_chars", "answer_chars", "mean_logprob", "mean_entropy")


def band_of(length: int) -> int:
    """The band of a length: floor(4 log2 length), -1 for 0."""
    return math.floor(STEPS * math.log2(length)) if length > 0 else -1


def first_of(band: int) -> int:
    """The smallest whole length in `band` or, where it holds none, the next one that exists."""
    if band < 0:
        return 0
    return math.ceil(round(2 ** (band / STEPS), 9))


@dataclass(slots=True)
class Change:
    """By how much the counts of one run change: keys as the rows are unique, values column to amount."""

    bands: dict[tuple[str, str, int], Counter[str]] = field(default_factory=dict)
    sums: dict[tuple[str, str, int], dict[str, float]] = field(default_factory=dict)  # of means, by the same keys
    problems: dict[int, Counter[str]] = field(default_factory=dict)

    def add(self, trace: Counted, *, times: int = 1) -> None:
        """Count `trace` in, or with `times` -1 out."""
        known = trace.completion_tokens is not None
        length = trace.completion_tokens if known else trace.think_chars + trace.answer_chars
        unit = LengthUnit.TOKENS if known else LengthUnit.CHARACTERS
        key = (trace.verdict, unit.value, band_of(length or 0))
        tokens = trace.completion_tokens or 0
        chars = {"think_chars": trace.think_chars * times, "answer_chars": trace.answer_chars * times}
        measured = {
            "logprob_traces": times * (trace.mean_logprob is not None),
            "entropy_traces": times * (trace.mean_entropy is not None),
        }
        self.bands.setdefault(key, Counter()).update({"traces": times, "tokens": tokens * times, **chars, **measured})
        sums = self.sums.setdefault(key, {"logprob": 0.0, "entropy": 0.0})
        sums["logprob"] += times * (trace.mean_logprob or 0.0)
        sums["entropy"] += times * (trace.mean_entropy or 0.0)
        self.problems.setdefault(trace.problem_id, Counter()).update(
            {
                "samples": times,
                "judged": times * (trace.verdict != CurrentVerdict.UNSCORED),
                "correct": times * (trace.verdict == CurrentVerdict.CORRECT),
                "tokens": tokens * times,
                "tokens_samples": times * known,
                **chars,
            }
        )


def change_of(added: Iterable[Counted], removed: Iterable[Counted] = ()) -> Change:
    """The change that traces make which are added, less those that are removed."""
    change = Change()
    for trace in removed:
        change.add(trace, times=-1)
    for trace in added:
        change.add(trace)
    return change
