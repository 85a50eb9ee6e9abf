"""An architecture's facts in words: what the page of an engine and `engine_info` show, row by row.

Facts are what the engine said at registration; an older row may lack some, and then the line is left out.
"""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from django.contrib.humanize.templatetags.humanize import intcomma
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

BILLION = 1_000_000_000


class Row(NamedTuple):
    """A line: its name, what it says, and what belongs to it in smaller print."""

    label: str
    value: str
    note: str = ""


def rows(facts: Mapping[str, Any]) -> list[Row]:
    """All that is known of an architecture, the most asked for first."""
    return [*_sizes(facts), *_experts(facts), *_context(facts), *_cache(facts), *_extras(facts)]


def size(count: int) -> str:
    """A number of parameters: in billions with three decimals from a billion on, else exact."""
    return _("%(n)s billion") % {"n": f"{count / BILLION:.3f}"} if count >= BILLION else str(intcomma(count))


def gate(facts: Mapping[str, Any]) -> str:
    """How the router chooses and weighs, in one line; empty for a dense model or where it is not known."""
    if not facts.get("scoring_func"):
        return ""
    scores = _("softmax over all experts") if facts["scoring_func"] == "softmax" else _("sigmoid of each expert")
    parts = [scores]
    if facts.get("correction_bias"):
        parts.append(_("chosen with a correction bias that does not weigh"))
    if facts.get("topk_group", 1) < facts.get("n_group", 1):
        by_two = facts["topk_method"] == "noaux_tc"
        parts.append(_("groups by the sum of their two best") if by_two else _("groups by their best"))
    parts.append(_("weights normalised") if facts.get("norm_topk_prob") else _("weights as they are"))
    if facts.get("routed_scaling_factor", 1) != 1:
        parts.append(_("times %(factor)s") % {"factor": f"{facts['routed_scaling_factor']:g}"})
    return ", ".join(parts)


def _sizes(facts: Mapping[str, Any]) -> Iterator[Row]:
    if facts.get("architecture"):
        yield Row(_("Architecture"), facts["architecture"], facts.get("model_type", ""))
    if total := facts.get("parameters"):
        yield Row(_("Parameters"), size(total), str(intcomma(total)) if total >= BILLION else "")
    if (active := facts.get("active_parameters")) and facts.get("n_routed_experts"):
        inner = active - facts["embedding_parameters"]
        note = _("embedding and head included; %(head)s with the head alone, %(inner)s with neither")
        note %= {"head": size(inner), "inner": size(inner - facts["head_parameters"])}
        yield Row(_("At work for a token"), size(active), note)


def _experts(facts: Mapping[str, Any]) -> Iterator[Row]:
    if facts.get("layers"):
        yield Row(_("Layers"), str(facts["layers"]))
    if not facts.get("n_routed_experts"):
        if facts.get("n_routed_experts") == 0:
            yield Row(_("Experts"), _("none: a dense model"))
        return
    routers = facts.get("router_layers") or []
    if routers:
        together = routers == list(range(routers[0], routers[-1] + 1))
        which = f"{routers[0]}–{routers[-1]}" if together and len(routers) > 1 else ", ".join(map(str, routers))
        yield Row(
            _("Layers with a router"), str(len(routers)), _("layers %(which)s, counted from 0") % {"which": which}
        )
    chosen = _("%(k)s of %(n)s for each token") % {"k": facts["top_k"], "n": facts["n_routed_experts"]}
    yield Row(_("Routed experts"), chosen)
    if facts.get("n_shared_experts") is not None:
        yield Row(_("Shared experts"), str(facts["n_shared_experts"]))
    if facts.get("n_group"):
        groups = _("%(open)s of %(all)s for each token") % {"open": facts["topk_group"], "all": facts["n_group"]}
        yield Row(_("Expert groups"), groups if facts["n_group"] > 1 else _("none"))
    if words := gate(facts):
        yield Row(_("Gate"), words)


def _context(facts: Mapping[str, Any]) -> Iterator[Row]:
    if facts.get("context"):
        notes = []
        if facts.get("rope_scaling"):
            stretched = _("%(kind)s, factor %(factor)s over %(original)s")
            original = intcomma(facts["original_context"])
            notes.append(
                stretched % {"kind": facts["rope_scaling"], "factor": f"{facts['rope_factor']:g}", "original": original}
            )
        if facts.get("stated_context", facts["context"]) != facts["context"]:
            notes.append(_("its authors state %(n)s") % {"n": intcomma(facts["stated_context"])})
        yield Row(_("Context"), _("%(n)s tokens") % {"n": intcomma(facts["context"])}, "; ".join(notes))
    if facts.get("vocabulary"):
        yield Row(_("Vocabulary"), _("%(n)s tokens") % {"n": intcomma(facts["vocabulary"])})
    if facts.get("attention"):
        heads = ngettext("%(n)s head", "%(n)s heads", facts["attention_heads"]) % {"n": facts["attention_heads"]}
        if facts.get("key_value_heads") and facts["attention"] == "GQA":
            heads += _(", %(n)s of keys and values") % {"n": facts["key_value_heads"]}
        yield Row(_("Attention"), facts["attention"], heads)


def _cache(facts: Mapping[str, Any]) -> Iterator[Row]:
    own = facts.get("cache_bytes_per_token")
    if not own:
        return
    yield Row(_("Cache"), _("%(n)s bytes a token, in 16 bit") % {"n": intcomma(own)})
    for kind, label in (("mha", "MHA"), ("gqa", f"GQA-{facts.get('gqa_groups')}")):
        other = facts.get(f"cache_bytes_per_token_{kind}")
        if other and other != own:
            times = _("%(n)s times as much") % {"n": f"{other / own:.1f}"}
            value = _("%(n)s bytes a token") % {"n": intcomma(other)}
            yield Row(_("Cache, were it %(kind)s") % {"kind": label}, value, times)


def _extras(facts: Mapping[str, Any]) -> Iterator[Row]:
    if facts.get("mtp_depth"):
        more = _("%(n)s parameters and %(bytes)s bytes of cache a token on top")
        more %= {"n": size(facts["mtp_parameters"]), "bytes": intcomma(facts["mtp_cache_bytes_per_token"])}
        yield Row(_("Multi-token prediction"), _("depth %(n)s") % {"n": facts["mtp_depth"]}, more)
    elif facts.get("mtp_depth") == 0:
        yield Row(_("Multi-token prediction"), _("none"))
    if facts.get("fp8_block"):
        rows_, columns = facts["fp8_block"]
        yield Row(_("Weights"), _("fp8 (e4m3)"), _("a scale for each %(r)s × %(c)s") % {"r": rows_, "c": columns})
