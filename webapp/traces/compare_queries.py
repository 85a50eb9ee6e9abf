"""Two runs over the same problems: how often each solves them, what was gained, what was lost.

A problem is the same where its stable hash is (`Problem.key`), be it in one set or in two. The figures come from the counts that runs keep by
problem (tallies.py), added up in the database; no trace is read, so 100,000 of them cost what their problems cost. It is SQL written out:
one pass that groups both runs' rows by hash. A join of the two was tried and left: on tables without statistics PostgreSQL ran it for minutes.

Left out: whether one problem's difference is more than chance. With few samples it often is not; the sign test is over all problems.
"""

import math
from dataclasses import dataclass
from typing import Any

from django.db import connection
from django.db.models import QuerySet
from django.utils.translation import gettext_lazy as _

from webapp.traces.models import Run, RunProblem

FATES = {"gained": _("gained"), "lost": _("lost"), "same": _("same"), "unjudged": _("not judged in both")}
ORDERS = {"problem": _("Problem"), "a": _("Before"), "b": _("After"), "change": _("Change")}
_PAIRS = """
    WITH sides AS (
        SELECT p."key" AS hash, p.id AS problem_id, rp.position AS position, rp.judged AS judged, rp.correct AS correct,
            CASE WHEN rp.run_id = %s THEN 1 ELSE 0 END AS is_a
        FROM traces_runproblem rp JOIN problems_problem p ON p.id = rp.problem_id
        WHERE rp.run_id IN (%s, %s) AND rp.samples > 0 AND p.prompt <> ''
    ), sums AS (
        SELECT MIN(CASE WHEN is_a = 1 THEN position END) AS position,
            MIN(CASE WHEN is_a = 1 THEN problem_id END) AS a_problem, MIN(CASE WHEN is_a = 0 THEN problem_id END) AS b_problem,
            SUM(CASE WHEN is_a = 1 THEN judged ELSE 0 END) AS a_judged, SUM(CASE WHEN is_a = 1 THEN correct ELSE 0 END) AS a_correct,
            SUM(CASE WHEN is_a = 0 THEN judged ELSE 0 END) AS b_judged, SUM(CASE WHEN is_a = 0 THEN correct ELSE 0 END) AS b_correct
        FROM sides GROUP BY hash HAVING COUNT(DISTINCT is_a) = 2
    ), pairs AS (
        SELECT sums.*, 1.0 * a_correct / NULLIF(a_judged, 0) AS a_share, 1.0 * b_correct / NULLIF(b_judged, 0) AS b_share,
            CASE WHEN a_judged = 0 OR b_judged = 0 THEN 'unjudged'
                WHEN b_correct * a_judged > a_correct * b_judged THEN 'gained'
                WHEN b_correct * a_judged < a_correct * b_judged THEN 'lost'
                ELSE 'same' END AS fate
        FROM sums)
"""  # a question that was not recorded is no question in common
_SUMMARY = f"{_PAIRS} SELECT fate, COUNT(*), SUM(a_share), SUM(b_share) FROM pairs GROUP BY fate"  # noqa: S608
_ROWS = f"""
    {_PAIRS} SELECT a_problem, b_problem, a_judged, a_correct, b_judged, b_correct, fate FROM pairs WHERE %s IN ('', fate)
"""  # noqa: S608
_ORDER_BY = {
    "problem": "position, a_problem", "-problem": "position DESC, a_problem",
    "a": "a_share NULLS LAST, position, a_problem", "-a": "a_share DESC NULLS LAST, position, a_problem",
    "b": "b_share NULLS LAST, position, a_problem", "-b": "b_share DESC NULLS LAST, position, a_problem",
    "change": "b_share - a_share NULLS LAST, position, a_problem", "-change": "b_share - a_share DESC NULLS LAST, position, a_problem",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Summary:
    """What two runs have in common and how they did there. `pass_a`, `pass_b`: pass@1, the mean over the `judged` problems that both runs have
    verdicts for; None where there is none. `sign_p`: how likely a split as uneven as gained to lost is if either were a coin's toss.
    """

    counts: dict[str, int]
    pass_a: float | None
    pass_b: float | None
    only_a: int
    only_b: int

    @property
    def common(self) -> int:
        return sum(self.counts.values())

    @property
    def judged(self) -> int:
        return self.common - self.counts["unjudged"]

    @property
    def sign_p(self) -> float | None:
        return sign_test(self.counts["gained"], self.counts["lost"])


@dataclass(frozen=True, slots=True)
class Pair:
    """A problem in both runs: its row in either set, judged and correct samples, and what became of it."""

    a_problem: int
    b_problem: int
    a_judged: int
    a_correct: int
    b_judged: int
    b_correct: int
    fate: str

    @property
    def a_share(self) -> float | None:
        return self.a_correct / self.a_judged if self.a_judged else None

    @property
    def b_share(self) -> float | None:
        return self.b_correct / self.b_judged if self.b_judged else None

    @property
    def change(self) -> float | None:
        """Of the share of correct samples, -1 to 1."""
        return None if self.a_share is None or self.b_share is None else self.b_share - self.a_share


def summary(a: Run, b: Run) -> Summary:
    """The figures of a comparison, in three queries."""
    counts = dict.fromkeys(FATES, 0)
    sums = [0.0, 0.0]
    for fate, n, share_a, share_b in _ask(_SUMMARY, [a.pk, a.pk, b.pk]):
        counts[fate] = int(n)
        if fate != "unjudged":
            sums = [sums[0] + float(share_a), sums[1] + float(share_b)]
    common = sum(counts.values())
    judged = common - counts["unjudged"]
    means = [total / judged if judged else None for total in sums]
    return Summary(counts, means[0], means[1], _problems(a) - common, _problems(b) - common)


def _problems(run: Run) -> int:
    return RunProblem.objects.filter(run=run, samples__gt=0).count()


class Pairs:
    """The problems that two runs have in common, of one fate ("" for all), in an order of `_ORDER_BY`; for a paginator."""

    def __init__(self, a: Run, b: Run, *, fate: str, sort: str, count: int) -> None:
        self._runs, self._fate, self._count = [a.pk, a.pk, b.pk], fate, count
        self._order = _ORDER_BY.get(sort, _ORDER_BY["problem"])

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, part: slice) -> list[Pair]:
        sql = f"{_ROWS} ORDER BY {self._order} LIMIT %s OFFSET %s"  # one of the constants above
        size = part.stop - part.start
        rows = _ask(sql, [*self._runs, self._fate, size, part.start])
        return [Pair(*row) for row in rows]


def sign_test(gained: int, lost: int) -> float | None:
    """Two-sided exact sign test: the chance that of gained + lost fair coins the rarer side has `min(gained, lost)` or fewer, doubled."""
    n, rarer = gained + lost, min(gained, lost)
    if not n:
        return None
    logs = [
        math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1) - n * math.log(2) for k in range(rarer + 1)
    ]
    return min(1.0, 2 * math.fsum(math.exp(value) for value in logs))


def choices() -> QuerySet[Run]:
    """Runs that have traces with counts, newest first, with what a list of choices says of them."""
    return Run.objects.select_related("engine", "problem_set").only(
        "name", "created_at", "engine__name", "problem_set__name"
    ).order_by("-created_at", "-pk")  # fmt: skip


def _ask(sql: str, params: list[Any]) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql, params)
        return list(cursor.fetchall())
