"""What the routing page of a trace shows: the statistics of routing.py, put into rows with their bars and links."""

from dataclasses import dataclass

import numpy as np
from django.urls import reverse

from webapp.traces import charts, routing
from webapp.traces.charts import Bar
from webapp.traces.models import RunRouting, Trace
from webapp.traces.routing import Array, Pair, Particular
from webapp.traces.routing_counting import PARTS, Counting

THINK, ANSWER = PARTS.index("think"), PARTS.index("answer")


@dataclass(frozen=True, slots=True)
class Linked:
    """An expert with the address of the trace coloured by it."""

    expert: int
    link: str
    odds: float = 0.0
    shares: tuple[float, float] = (0.0, 0.0)  # of the tokens here and there, in hundredths

    @property
    def times(self) -> float:
        """The odds ratio."""
        return float(2**self.odds)


@dataclass(frozen=True, slots=True)
class LayerRow:
    """One layer of the overview. Divergences in bits, None where one side has no tokens or the run's load is not known."""

    layer: int
    is_chosen: bool
    violation: float | None
    violation_bar: list[Bar]
    divergence: float | None
    chance: float | None
    divergence_bar: list[Bar]
    against_run: float | None
    think: list[Linked]
    answer: list[Linked]


@dataclass(frozen=True, slots=True)
class ExpertRow:
    """One expert of the chosen layer: tokens that took it, and its share (0..100) of the think's and of the answer's tokens."""

    expert: int
    link: str
    tokens: int
    think: float
    answer: float
    bars: list[Bar]  # think
    answer_bars: list[Bar]


@dataclass(frozen=True, slots=True)
class PairRow:
    """Two experts that come together."""

    pair: Pair
    links: tuple[str, str]
    bars: list[Bar]


def link(trace: Trace, layer: int, expert: int) -> str:
    """The trace, coloured by how much `expert` weighs on each token."""
    return f"{reverse('traces:detail', args=[trace.pk])}?overlay=gate&layer={layer}&expert={expert}"


def layer_rows(trace: Trace, counting: Counting) -> list[LayerRow]:
    """All layers, each in a line."""
    run = {row.layer: np.asarray(row.counts, np.int64) for row in RunRouting.objects.filter(run_id=trace.run_id)}
    totals = counting.loads.sum(axis=0)
    worst = max((routing.max_violation(counts) or 0.0 for counts in totals), default=0.0)
    rows = []
    for place, layer in enumerate(counting.layers):
        think, answer, whole = counting.loads[THINK, place], counting.loads[ANSWER, place], totals[place]
        tokens = int(counting.tokens[THINK]), int(counting.tokens[ANSWER])
        violation, apart = routing.max_violation(whole), routing.divergence(think, answer)
        other = run.get(layer)
        rows.append(
            LayerRow(
                layer=layer, is_chosen=layer == counting.layer, violation=violation,
                violation_bar=charts.bar(violation or 0.0, max(worst, 1.0)), divergence=apart,
                chance=routing.by_chance(think, answer), divergence_bar=charts.bar(apart or 0.0, 1.0),
                against_run=routing.divergence(whole, other) if other is not None and len(other) == len(whole) else None,
                think=_linked(trace, layer, routing.particular(think, tokens[0], answer, tokens[1])),
                answer=_linked(trace, layer, routing.particular(answer, tokens[1], think, tokens[0])),
            )
        )  # fmt: skip
    return rows


def _linked(trace: Trace, layer: int, found: list[Particular]) -> list[Linked]:
    return [
        Linked(p.expert, link(trace, layer, p.expert), p.odds, (100 * p.share_here, 100 * p.share_there)) for p in found
    ]


def expert_rows(trace: Trace, counting: Counting) -> list[ExpertRow]:
    """The experts of the chosen layer in the order of their numbers."""
    loads = counting.loads[:, counting.place]
    shares = [_shares(loads[part], int(counting.tokens[part])) for part in (THINK, ANSWER)]
    largest = max(float(share.max(initial=0.0)) for share in shares)
    return [
        ExpertRow(
            expert=e, link=link(trace, counting.layer, e), tokens=int(loads[:, e].sum()),
            think=float(shares[0][e]), answer=float(shares[1][e]),
            bars=charts.bar(float(shares[0][e]), largest), answer_bars=charts.bar(float(shares[1][e]), largest, tone="warn"),
        )
        for e in range(counting.n_experts)
    ]  # fmt: skip


def _shares(counts: Array, tokens: int) -> Array:
    return 100 * counts / tokens if tokens else np.zeros(len(counts))


def pair_rows(trace: Trace, counting: Counting) -> list[PairRow]:
    """The pairs of the chosen layer that come together more often than each alone would."""
    found = routing.pairs(counting.both, int(counting.tokens.sum()))
    largest = max((pair.lift for pair in found), default=1.0)
    return [
        PairRow(
            pair, (link(trace, counting.layer, pair.first), link(trace, counting.layer, pair.second)),
            charts.bar(pair.lift, largest),
        )
        for pair in found
    ]  # fmt: skip
