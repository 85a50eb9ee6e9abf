"""Where samples of one question part ways: how far all say the same, and at which character each leaves the others.

The samples walk together from the first character. Where they differ, the larger party goes on as the main one, the rest have parted; of
equal parties the one with the earliest sample. So each sample has one place at which it left those that it had agreed with until then.

Plain text in, plain numbers out. Left out: meaning (two ways of saying the same part here) and tokens (group_queries.py finds the token).
"""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Parting:
    """A sample leaves the main party at character `at` of its text; until then `together` samples, itself among them, said the same."""

    at: int
    together: int


@dataclass(frozen=True, slots=True)
class Partings:
    """`shared`: characters that all samples begin with. `each`: by sample, None for one that stays in the main party to its end."""

    shared: int
    each: list[Parting | None]


def common(texts: Sequence[str]) -> int:
    """How many characters all of `texts`, of which there is at least one, begin with."""
    first, last = min(texts), max(texts)  # in their order, those two differ earliest
    low, high = 0, min(len(first), len(last))
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if first[low:middle] == last[low:middle] else (low, middle - 1)
    return low


def partings(texts: Sequence[str]) -> Partings:
    """Where each of `texts` leaves the others. One text alone, or equal ones, never part."""
    each: list[Parting | None] = [None] * len(texts)
    party = list(range(len(texts)))
    shared: int | None = None
    while len(party) > 1:
        at = common([texts[i] for i in party])
        shared = at if shared is None else shared
        by_next: dict[str, list[int]] = {}
        for i in party:
            by_next.setdefault(texts[i][at : at + 1], []).append(i)
        if len(by_next) == 1:  # the same to the end
            break
        main = max(by_next.values(), key=lambda members: (len(members), -members[0]))
        for i in set(party) - set(main):
            each[i] = Parting(at, len(party))
        party = main
    return Partings(shared if shared is not None else len(texts[0]) if texts else 0, each)
