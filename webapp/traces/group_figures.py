"""What the samples of one problem say together: the answers and how many give each, pass@k, whether a reward could tell them apart.

Values in, values out: rows come from group_queries.py. Left out: deciding whether two answers mean the same, which is the verifier's work;
here answers are one when they read the same but for white space.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from webapp.traces.models import CurrentVerdict
from webapp.traces.run_queries import pass_at_k

EVERY_K = 64  # up to so many judged samples every k is shown, then powers of two


@dataclass(frozen=True, slots=True)
class Row:
    """One sample without its text. `answer` is what the newest verdict read, None where there is no verdict."""

    pk: int
    number: int
    verdict: str
    label: str
    answer: str | None
    tokens: int | None
    think_chars: int
    answer_chars: int
    logprob: float | None
    entropy: float | None

    @property
    def length(self) -> int:
        """Tokens where they are known, else characters: for ordering within one run."""
        return self.tokens if self.tokens is not None else self.think_chars + self.answer_chars


@dataclass(frozen=True, slots=True)
class Cluster:
    """An answer and who gives it. `verdicts`: how many of them stand at which verdict."""

    answer: str
    count: int
    is_majority: bool
    verdicts: dict[str, int]


@dataclass(frozen=True, slots=True)
class Together:
    """A group's figures. `read`: samples of which an answer was read. `no_signal`: "correct" or "wrong" where all judged samples share that fate."""

    judged: int
    correct: int
    read: int
    clusters: list[Cluster]
    pass_at: list[tuple[int, float]]
    no_signal: str


def reads_as(answer: str | None) -> str:
    """The form under which answers are counted as one."""
    return " ".join((answer or "").split())


def together(rows: Sequence[Row]) -> Together:
    """The figures of all samples of a group."""
    judged = [row for row in rows if row.verdict != CurrentVerdict.UNSCORED]
    correct = sum(row.verdict == CurrentVerdict.CORRECT for row in judged)
    clusters = _clusters(rows)
    return Together(
        judged=len(judged),
        correct=correct,
        read=sum(cluster.count for cluster in clusters),
        clusters=clusters,
        pass_at=[(k, pass_at_k(len(judged), correct, k)) for k in _ks(len(judged))],
        no_signal=_no_signal(len(judged), correct),
    )


def _no_signal(judged: int, correct: int) -> str:
    """Zero variance: a reward of 1 for correct and 0 for anything else gives each sample the same, so a group advantage is 0."""
    if judged < 2 or 0 < correct < judged:
        return ""
    return "correct" if correct else "wrong"


def _ks(judged: int) -> list[int]:
    if judged <= EVERY_K:
        return list(range(1, judged + 1))
    powers = [2**i for i in range(judged.bit_length()) if 2**i < judged]
    return [*powers, judged]


def _clusters(rows: Sequence[Row]) -> list[Cluster]:
    """Answers by how many give them, then by who gave them first. A majority is one answer that more samples give than any other."""
    found: dict[str, list[Row]] = {}
    for row in rows:
        if reads_as(row.answer):
            found.setdefault(reads_as(row.answer), []).append(row)
    ordered = sorted(found.items(), key=lambda item: -len(item[1]))
    top = len(ordered[0][1]) if ordered else 0
    alone = top > 1 and (len(ordered) == 1 or len(ordered[1][1]) < top)
    return [
        Cluster(answer, len(members), alone and n == 0, _verdicts(members))
        for n, (answer, members) in enumerate(ordered)
    ]


def _verdicts(rows: Sequence[Row]) -> dict[str, int]:
    order = (CurrentVerdict.CORRECT, CurrentVerdict.WRONG, CurrentVerdict.UNDECIDABLE, CurrentVerdict.UNSCORED)
    counts = {value.value: sum(row.verdict == value for row in rows) for value in order}
    return {value: n for value, n in counts.items() if n}
