"""Which tokens an expert takes most over a run, from a bounded sample of its shards that is read when asked.

The sample is the same at each asking: traces at even distances over the run, of each one window, at a place that moves through the trace
from one to the next. Left out: an index of tokens by expert, which would be as large as the store itself.
"""

import time
from collections import Counter
from dataclasses import dataclass, field

import numpy as np
from django.db.models import Max, Min
from django.urls import reverse

from webapp.traces import charts, tokenstore
from webapp.traces.charts import Bar
from webapp.traces.models import Run, Trace
from webapp.traces.visible import Piece, pieces

TRACES = 24  # looked at
WINDOW = 2 * tokenstore.ROW_GROUP_TOKENS  # tokens of each
SECONDS = 2.0  # after which no further trace is read
MOST = 25  # kinds of token in the table
LEAST_FOR_RATE = 5  # times taken, below which the share of a token's occurrences says little
EXAMPLES = 3  # of each
AROUND = 28  # characters of context on each side
_BLANK = {"\n": ("LF", "000A", "line feed"), "\t": ("TAB", "0009", "tab"), " ": ("␣", "0020", "space")}
_STRIDE = 0.6180339887  # of the golden ratio: places spread evenly, whatever their number


@dataclass(frozen=True, slots=True)
class Example:
    """A token in its text, and the trace opened at it."""

    trace_id: int
    token: int
    before: list[Piece]
    text: list[Piece]
    after: list[Piece]
    weight: float
    link: str


@dataclass(slots=True)
class Kind:
    """A token of the vocabulary: how often the sample has it, how often the expert took it, with which weight in all."""

    token_id: int
    taken: int = 0
    seen: int = 0
    weight: float = 0.0
    examples: list[Example] = field(default_factory=list)
    share: float = 0.0  # of all that the expert took, in hundredths
    bars: list[Bar] = field(default_factory=list)

    @property
    def text(self) -> list[Piece]:
        """The token's text where it was first seen; white space, which alone would not be seen, as marks."""
        shown: list[Piece] = []
        for piece in self.examples[0].text:
            if piece.code or piece.text.strip():
                shown.append(piece)
            else:
                shown += [Piece(*_BLANK.get(char, (char,))) for char in piece.text]
        return shown

    @property
    def mean_weight(self) -> float:
        return self.weight / self.taken if self.taken else 0.0

    @property
    def rate(self) -> float:
        """Of the token's occurrences, how many the expert took, in hundredths."""
        return 100 * self.taken / self.seen if self.seen else 0.0


@dataclass(frozen=True, slots=True)
class Card:
    """An expert of a run. `tokens` were looked at in `traces`, of which the expert took `taken`; `kinds` of token in all."""

    layer: int
    expert: int
    layers: list[int]
    n_experts: int
    traces: int
    tokens: int
    taken: int
    kinds: int
    rows: list[Kind]


def first_meta(run: Run) -> tokenstore.ShardMeta | None:
    """What the run's first shard says of itself; None for a run without routing. ValueError when it cannot be read."""
    path = (
        Trace.objects.filter(run=run).exclude(store_path="").order_by("pk").values_list("store_path", flat=True).first()
    )
    meta = tokenstore.read_meta(path) if path else None
    return meta if meta and meta.layers else None


def sample(run: Run, *, most: int = TRACES) -> list[Trace]:
    """Traces with tokens at even distances over the run: one seek in an index each, however long the run is."""
    of_run = Trace.objects.filter(run=run).exclude(store_path="")
    ends = Trace.objects.filter(run=run).aggregate(first=Min("pk"), last=Max("pk"))
    if ends["first"] is None:
        return []
    columns = ("prompt", "completion", "store_path", "store_row_group", "store_tokens")
    found: dict[int, Trace] = {}
    for pk in np.linspace(ends["first"], ends["last"], most).astype(int).tolist():
        trace = of_run.only(*columns).filter(pk__gte=pk).order_by("pk").first()
        if trace is not None:
            found[trace.pk] = trace
    return list(found.values())


def card(
    run: Run, meta: tokenstore.ShardMeta, layer: int, expert: int, *, by_rate: bool = False, seconds: float = SECONDS
) -> Card:
    """Look through the run's sample for what `expert` of decoder layer `layer` takes, most often first; with `by_rate` by the share of
    a token's occurrences, of those taken LEAST_FOR_RATE times. ValueError for a shard that cannot be read.
    """
    until = time.monotonic() + seconds
    search = _Search(layer, expert)
    for number, trace in enumerate(sample(run)):
        if search.traces and time.monotonic() > until:
            break
        search.look(trace, number)
    taken = sum(kind.taken for kind in search.kinds.values())
    for kind in search.kinds.values():
        kind.seen = search.seen[kind.token_id]
        kind.share = 100 * kind.taken / taken
    chosen = [kind for kind in search.kinds.values() if not by_rate or kind.taken >= LEAST_FOR_RATE]
    rows = sorted(chosen, key=lambda kind: (-kind.rate if by_rate else 0.0, -kind.taken, kind.token_id))[:MOST]
    largest = max((kind.taken for kind in rows), default=0)
    for kind in rows:
        kind.bars = charts.bar(kind.taken, largest)
    return Card(
        layer, expert, meta.layers, meta.n_experts, search.traces, search.tokens, taken, len(search.kinds), rows
    )


class _Search:
    """What one expert took of the windows looked at so far."""

    def __init__(self, layer: int, expert: int) -> None:
        self.layer, self.expert = layer, expert
        self.kinds: dict[int, Kind] = {}
        self.seen = Counter[int]()
        self.tokens = self.traces = 0

    def look(self, trace: Trace, number: int) -> None:
        """Look at a window of the sample's `number`-th trace."""
        count, group = trace.store_tokens or 0, trace.store_row_group or 0
        start = int(((number + 1) * _STRIDE % 1) * max(0, count - WINDOW))
        window, meta = tokenstore.read_with_meta(trace.store_path, group, count, start, min(count, start + WINDOW))
        if self.layer not in meta.layers or window.expert_ids is None or window.gate_weights is None:
            return
        rows, place = slice(window.routing_count), meta.layers.index(self.layer)
        self.traces += 1
        self.tokens += window.routing_count
        self.seen.update(window.token_id[rows].tolist())
        hit = window.expert_ids[rows, place] == self.expert
        weights = np.where(hit, window.gate_weights[rows, place].astype(np.float32), 0).sum(axis=1)
        whole = trace.prompt + trace.completion
        mine: set[int] = set()  # kinds that have their example of this trace: the next comes from another
        for row in np.flatnonzero(hit.any(axis=1)).tolist():
            token_id, span = int(window.token_id[row]), (int(window.text_start[row]), int(window.text_end[row]))
            kind = self.kinds.setdefault(token_id, Kind(token_id))
            kind.taken += 1
            kind.weight += float(weights[row])
            if len(kind.examples) < EXAMPLES and token_id not in mine:
                mine.add(token_id)
                kind.examples.append(self._example(trace, whole, (start + row, *span), float(weights[row])))

    def _example(self, trace: Trace, whole: str, place: tuple[int, int, int], weight: float) -> Example:
        """Token number, first and last character of it are `place`."""
        token, begin, end = place
        before, after = whole[max(0, begin - AROUND) : begin], whole[end : end + AROUND]
        address = reverse("traces:detail", args=[trace.pk])
        return Example(
            trace.pk, token, pieces(before), pieces(whole[begin:end]), pieces(after), weight,
            f"{address}?overlay=gate&layer={self.layer}&expert={self.expert}&token={token}",
        )  # fmt: skip
