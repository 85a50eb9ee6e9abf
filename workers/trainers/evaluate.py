r"""What a checkpoint can do on problems it never saw: pass@1 and pass@8, greedy accuracy, form, and its experts' load.

Problems come from the held-out side of every family's split, which no training row ever touches. An answer counts as right
when reasoning-gym's scorer gives it 1.0; it is read from the last \boxed{} after the think. Left out: any judgement of the
think itself.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inference import Completion, Engine, SamplingParams, Tokenizer

from .estimator import pass_at_k
from .families import FAMILIES, Item, generate
from .text import EOS_ID, prompt_text

FORM = re.compile(r"<think>\n(?:(?!</?think>).)+\n</think>\n\nThe answer is \\boxed\{[^\n]+\}\.", re.DOTALL)
BOXED = re.compile(r"\\boxed\{([^\n{}]*)\}")

Tell = Callable[[str], None]


@dataclass(frozen=True)
class EvaluationPlan:
    """What is asked and how it is sampled; stored with the result."""

    seed: int = 990_001
    problems_per_family: int = 40
    samples: int = 8
    temperature: float = 0.6
    top_p: float = 1.0
    max_tokens: int = 400
    problems_at_once: int = 8


def heldout_problems(plan: EvaluationPlan) -> list[Item]:
    """The evaluation set: problems of every family from the held-out side."""
    return [item for name in FAMILIES for item in generate(name, plan.problems_per_family, plan.seed, split="heldout")]


def read_answer(text: str) -> str | None:
    r"""What stands in the last \boxed{} after the think, or None."""
    found = BOXED.findall(text.rpartition("</think>")[2])
    return found[-1] if found else None


def well_formed(text: str, finish_reason: str) -> bool:
    """Whether a completion has the R1 form: one think, closed, then the sentence with the answer, then the end."""
    return finish_reason == "stop" and FORM.fullmatch(text) is not None


@dataclass
class _Tally:
    """Outcome of one problem."""

    item: Item
    correct: int
    formed: int
    greedy: bool
    tokens: int


def evaluate(folder: Path, plan: EvaluationPlan, tell: Tell = lambda _: None) -> dict[str, Any]:
    """Accuracy of the checkpoint in a folder, as accuracy.json holds it."""
    engine = Engine.load(folder, dtype="float32", device="cpu")
    items = heldout_problems(plan)
    tallies: list[_Tally] = []
    load = np.zeros((0, 0), dtype=np.int64)
    layers: list[int] = []
    for start in range(0, len(items), plan.problems_at_once):
        chunk = items[start : start + plan.problems_at_once]
        sampled = _generate(engine, chunk, plan, greedy=False)
        best = _generate(engine, chunk, plan, greedy=True)
        for item, outs, greedy in zip(chunk, sampled, best, strict=True):
            tallies.append(_tally(engine.tokenizer, item, outs, greedy[0]))
            for out in outs:
                assert out.routing  # noqa: S101  asked for by capture
                layers = list(out.routing.layers)
                counted = _count(out.routing.expert_ids, engine.config.n_routed_experts)
                load = load + counted if load.size else counted
        right = sum(each.correct for each in tallies) / (len(tallies) * plan.samples)
        tell(f"{len(tallies)}/{len(items)} problems, pass@1 so far {right:.3f}")
    return {
        "plan": asdict(plan),
        "overall": _summary(tallies, plan.samples),
        "families": {
            name: _summary([each for each in tallies if each.item.family == name], plan.samples)
            | {"by_difficulty": _by_difficulty([each for each in tallies if each.item.family == name], plan.samples)}
            for name in FAMILIES
        },
        "experts": _experts(load, layers),
    }


def _generate(engine: Engine, items: list[Item], plan: EvaluationPlan, *, greedy: bool) -> list[list[Completion]]:
    params = SamplingParams(
        max_tokens=plan.max_tokens,
        temperature=0.0 if greedy else plan.temperature,
        top_p=1.0 if greedy else plan.top_p,
        seed=plan.seed + items[0].index % 1_000_000,
        n=1 if greedy else plan.samples,
        stop_token_ids=(EOS_ID,),
    )
    return engine.generate(
        [engine.tokenizer.encode(prompt_text(item.prompt)) for item in items], params, capture=not greedy
    )


def _text(tokenizer: Tokenizer, out: Completion) -> str:
    return tokenizer.decode([token for token in out.token_ids if token != EOS_ID])


def _tally(tokenizer: Tokenizer, item: Item, outs: list[Completion], greedy: Completion) -> _Tally:
    family = FAMILIES[item.family]
    texts = [_text(tokenizer, out) for out in outs]
    return _Tally(
        item=item,
        correct=sum(family.score(item, read_answer(text)) == 1.0 for text in texts),
        formed=sum(well_formed(text, out.finish_reason) for text, out in zip(texts, outs, strict=True)),
        greedy=family.score(item, read_answer(_text(tokenizer, greedy))) == 1.0,
        tokens=sum(len(out.token_ids) for out in outs),
    )


def _summary(tallies: list[_Tally], samples: int) -> dict[str, Any]:
    count = len(tallies)
    return {
        "problems": count,
        "pass@1": round(sum(pass_at_k(samples, each.correct, 1) for each in tallies) / count, 4),
        f"pass@{samples}": round(sum(pass_at_k(samples, each.correct, samples) for each in tallies) / count, 4),
        "greedy": round(sum(each.greedy for each in tallies) / count, 4),
        "format": round(sum(each.formed for each in tallies) / (count * samples), 4),
        "mean_tokens": round(sum(each.tokens for each in tallies) / (count * samples), 1),
    }


def _by_difficulty(tallies: list[_Tally], samples: int) -> dict[str, float]:
    levels = sorted({each.item.difficulty for each in tallies})
    of_level = {level: [each for each in tallies if each.item.difficulty == level] for level in levels}
    return {
        str(level): round(sum(each.correct for each in of_level[level]) / (len(of_level[level]) * samples), 4)
        for level in levels
    }


def _count(expert_ids_TLK: NDArray[Any], n_experts: int) -> NDArray[np.int64]:
    """Assignments by layer and expert: int64 [L, E]."""
    layers = expert_ids_TLK.shape[1]
    return np.stack([np.bincount(expert_ids_TLK[:, layer].ravel(), minlength=n_experts) for layer in range(layers)])


def _experts(load_LE: NDArray[np.int64], layers: list[int]) -> dict[str, Any]:
    share = load_LE / load_LE.sum(axis=1, keepdims=True)
    return {
        "layers": layers,
        "share": [[round(float(each), 5) for each in row] for row in share],
        "even_share": round(1 / load_LE.shape[1], 5),
        "least_share": round(float(share.min()), 5),
        "max_violation": [round(float(row.max() * len(row) - 1), 3) for row in share],
    }
