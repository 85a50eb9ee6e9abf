"""Reads of a group: its samples in brief, the page of them that is shown, where their texts part, two of them for a comparison.

The rows of a group are read without text, so that all of them can be counted, sorted and filtered; text is read for the page alone, and
its beginning once for the partings, which are kept in the cache since a sample never changes.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from django.core.cache import cache
from django.db.models import OuterRef, Prefetch, Subquery
from django.db.models.functions import Length, Substr
from django.utils.translation import gettext_lazy as _

from webapp.traces import tokenstore
from webapp.traces.group_figures import Row, reads_as
from webapp.traces.models import CurrentVerdict, Finding, Trace, Verdict
from webapp.traces.panes import panes_of
from webapp.traces.partings import Partings, partings

MOST_ROWS = 5000  # samples of a group that are counted and listed
MOST_TEXTS = 256  # samples whose beginnings are compared
BEGINNING = 20_000  # characters of each that are compared
EXTRACTED_CHARS = 200
BRIEF_CHARS = 600
_SECONDS = 3600
_SCAN = 2048  # tokens read at once while looking for a place
_ORDER = {value: n for n, value in enumerate(CurrentVerdict.values[1:] + CurrentVerdict.values[:1])}
ORDERS = {
    "sample": _("Sample"),
    "verdict": _("Verdict"),
    "length": _("Length"),
    "logprob": _("Log-prob."),
    "entropy": _("Entropy"),
    "parting": _("Parting"),
}


def rows(run_id: int, problem_id: int) -> list[Row]:
    """The samples of a group by number, at most `MOST_ROWS`."""
    newest = Verdict.objects.filter(trace=OuterRef("pk")).order_by("-created_at", "-pk")
    found = Trace.objects.filter(run_id=run_id, problem_id=problem_id).order_by("sample_index")
    values = found.annotate(extracted=Substr(Subquery(newest.values("extracted")[:1]), 1, EXTRACTED_CHARS)).values_list(
        "pk", "sample_index", "verdict", "label", "extracted", "completion_tokens", "think_chars", "answer_chars",
        "mean_logprob", "mean_entropy",
    )  # fmt: skip
    return [Row(*row) for row in values[:MOST_ROWS]]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the address asks of a group: one verdict or answer alone ("" for all), an order of ORDERS, falling with "-"."""

    verdict: str = ""
    answer: str = ""
    sort: str = ""

    def of(self, samples: Sequence[Row], places: dict[int, int]) -> list[Row]:
        """The samples that are asked for, in order. `places`: where a sample parted, by id; what has no value comes last."""
        kept = [
            row
            for row in samples
            if (not self.verdict or row.verdict == self.verdict)
            and (not self.answer or reads_as(row.answer) == self.answer)
        ]
        name = self.sort.removeprefix("-")
        values: dict[str, dict[int, float | None]] = {
            "sample": {row.pk: row.number for row in kept},
            "verdict": {row.pk: _ORDER[row.verdict] for row in kept},
            "length": {row.pk: row.length for row in kept},
            "logprob": {row.pk: row.logprob for row in kept},
            "entropy": {row.pk: row.entropy for row in kept},
            "parting": {row.pk: places.get(row.pk) for row in kept},
        }
        by = values.get(name, values["sample"])
        sign = -1 if self.sort.startswith("-") and name in values else 1
        known = [row for row in kept if by[row.pk] is not None]
        known.sort(key=lambda row: (sign * float(by[row.pk] or 0), row.number))
        return known + [row for row in kept if by[row.pk] is None]


@dataclass(frozen=True, slots=True)
class Brief:
    """A sample in brief. `answer`: the first lines of its answer, or of what it has instead (`of`: its kind)."""

    trace: Trace
    answer: str
    of: str


def page_of(samples: Sequence[Row]) -> dict[int, Brief]:
    """The text and the findings of the samples of a page, and who said what of them, by id."""
    traces = (
        Trace.objects.filter(pk__in=[row.pk for row in samples])
        .prefetch_related(Prefetch("findings", Finding.objects.order_by("pk")), "labels")
        .defer("prompt", "provenance", "metadata")
    )
    return {trace.pk: _brief(trace) for trace in traces}


def _brief(trace: Trace) -> Brief:
    texts = {"prompt": "", "reasoning": trace.reasoning, "completion": trace.completion}
    spoken = [pane for pane in panes_of(trace.segments, texts) if not pane.is_tag and pane.text.strip()]
    answers = [pane for pane in spoken if pane.kind == "answer"]
    chosen = next(reversed(answers or spoken), None)
    return Brief(trace, chosen.text.strip()[:BRIEF_CHARS] if chosen else "", chosen.kind if chosen else "")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a sample leaves the others: `at` characters into what was generated, when `together` still agreed; the `token` where tokens
    are stored, counted from 0 with the prompt; `before` and `after`: some text around it.
    """

    at: int
    together: int
    token: int | None
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class Ways:
    """How the samples part: `shared` characters are the same in all `compared`; `places` by id, None for one that stays to the end."""

    shared: int
    compared: int
    places: dict[int, Place | None]
    is_cut: bool  # the beginnings that were compared ended before all had parted


def ways(run_id: int, problem_id: int, samples: Sequence[Row]) -> Ways:
    """Where the texts of a group part; made once and kept, as samples are only added."""
    compared = samples[:MOST_TEXTS]
    key = f"ways:1:{run_id}:{problem_id}:{len(compared)}:{max((row.pk for row in compared), default=0)}"
    found: Ways | None = cache.get(key)
    if found is None:
        found = _ways(compared)
        cache.set(key, found, _SECONDS)
    return found


def _ways(samples: Sequence[Row]) -> Ways:
    begun = Trace.objects.filter(pk__in=[row.pk for row in samples]).order_by()
    values = begun.annotate(
        think=Substr("reasoning", 1, BEGINNING), begins=Substr("completion", 1, BEGINNING), asked=Length("prompt")
    ).values_list("pk", "think", "begins", "asked", "store_path", "store_row_group", "store_tokens")
    read = {}
    for pk, think, begins, asked, path, row_group, tokens in values:
        whole = think if think and len(think) >= BEGINNING else (think or "") + begins
        read[pk] = _Text(whole[:BEGINNING], len(think or ""), asked, path, row_group, tokens)
    texts = [read[row.pk].text for row in samples]
    apart: Partings = partings(texts)
    places = {
        row.pk: _place(read[row.pk], parting.at, parting.together) if parting else None
        for row, parting in zip(samples, apart.each, strict=True)
    }
    stays = [len(read[row.pk].text) for row in samples if places[row.pk] is None]
    return Ways(apart.shared, len(samples), places, len(stays) > 1 and max(stays) >= BEGINNING)


@dataclass(frozen=True, slots=True)
class _Text:
    """What was generated, as far as it is compared: `think` characters of a field of its own, then the completion."""

    text: str
    think: int
    prompt: int
    path: str
    row_group: int | None
    tokens: int | None


def _place(of: _Text, at: int, together: int) -> Place:
    token = None
    if of.path and of.row_group is not None and of.tokens and at >= of.think:
        token = token_at(of.path, of.row_group, of.tokens, of.prompt + at - of.think)
    return Place(at, together, token, of.text[max(0, at - 60) : at], of.text[at : at + 60])


def token_at(path: str, row_group: int, count: int, char: int) -> int | None:
    """The token whose text holds character `char` of prompt and completion joined; None where there is none or the shard cannot be read."""
    try:
        for start in range(0, count, _SCAN):
            ends = tokenstore.read(path, row_group, count, start, start + _SCAN, layer="none").text_end
            if ends[-1] > char:
                return start + int((ends > char).argmax())
    except ValueError:  # its page says what is wrong with it
        pass
    return None


def pair(ids: Sequence[int]) -> list[Trace]:
    """Two traces with run, problem and findings, in the order of `ids`; fewer where one is not there."""
    found = Trace.objects.select_related("run", "problem__problem_set").defer("provenance", "metadata").in_bulk(ids)
    return [found[pk] for pk in ids if pk in found]


def generated(trace: Trace) -> str:
    """All that was generated: the think of a field of its own, then the completion."""
    return (trace.reasoning or "") + trace.completion


def parting_token(trace: Trace, at: int) -> int | None:
    """The token of `trace` that holds character `at` of what was generated, None where no tokens are stored."""
    place = at - len(trace.reasoning or "")
    if not trace.has_tokens or trace.store_row_group is None or not trace.store_tokens or place < 0:
        return None
    return token_at(trace.store_path, trace.store_row_group, trace.store_tokens, len(trace.prompt) + place)
