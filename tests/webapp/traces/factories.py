"""Traces for tests and for a look at the pages: real text of other people's models, with made-up but plausible routing.

Run as a program it fills the database of SLUICE_DATA with a demonstration: `python -m tests.webapp.traces.factories ../shared/data`.
"""

import json
import os
import re
import sys
import zlib
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

WORDS = re.compile(r"<[|｜/]?\w[^<>\n]{0,24}>|\w{1,7}|\s+?(?=\n)|\n+|[^\S\n]+|[^\w\s]")
LAYERS, EXPERTS, TOP_K = [1, 2, 3], 16, 2
NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)


def token_arrays(prompt, completion, *, seed=0, layers=LAYERS, n_experts=EXPERTS, top_k=TOP_K, routed=True):
    """Tokens of a rough tokenizer; an expert prefers words, spaces, figures or signs, a rare word is improbable."""
    from webapp.traces.tokenstore import TokenArrays

    rng = np.random.default_rng(seed)
    text = prompt + completion
    spans = [(m.start(), m.end()) for m in WORDS.finditer(text)] + [(len(text), len(text))]
    n = len(spans)
    pieces = [text[a:b] for a, b in spans]
    ids = np.array([zlib.crc32(p.encode()) % 8000 for p in pieces], dtype=np.int32)
    sampled = np.array([a >= len(prompt) for a, _ in spans])
    entropy = (rng.gamma(0.7, 0.6, n) * np.array([0.25 if p.isspace() else 1.0 for p in pieces])).astype(np.float32)
    logprob = -(entropy * rng.gamma(1.2, 0.7, n)).astype(np.float32)
    entropy[~sampled] = logprob[~sampled] = np.nan
    arrays = {
        "token_id": ids,
        "text_start": np.array([a for a, _ in spans], dtype=np.int32),
        "text_end": np.array([b for _, b in spans], dtype=np.int32),
        "logprob": logprob,
        "entropy": entropy,
    }
    if routed:
        kind = np.array([0 if p.isspace() else 1 if p.isdigit() else 2 if p[:1].isalpha() else 3 for p in pieces])
        liking = rng.normal(0, 1.6, (len(layers), 4, n_experts))[:, kind].transpose(1, 0, 2)
        logits = (
            liking
            + rng.normal(0, 0.9, (n, len(layers), n_experts))
            + rng.normal(0, 1.2, (8000, 1, n_experts))[ids % 8000]
        )
        chosen = np.argsort(-logits, axis=2)[:, :, :top_k]
        weights = 1 / (1 + np.exp(-np.take_along_axis(logits, chosen, axis=2)))
        arrays["expert_ids"] = chosen.astype(np.uint8 if n_experts <= 256 else np.uint16)
        arrays["gate_weights"] = (weights / weights.sum(axis=2, keepdims=True)).astype(np.float16)
    return TokenArrays(**arrays)


def problem_set(name="arithmetic", **fields):
    from webapp.problems.models import ProblemSet

    return ProblemSet.objects.get_or_create(name=name, defaults={"created_at": NOW} | fields)[0]


def problem(prompt="What is 12 + 30?", answer="42", *, of=None, **fields):
    from webapp.problems.models import Problem

    of = of or problem_set()
    position = of.problems.count()
    return Problem.objects.create(
        problem_set=of, position=position, key=f"{of.pk}-{position}", prompt=prompt, answer=answer, **fields
    )


def engine(name="tiny", **fields):
    from webapp.engines.models import Engine

    return Engine.objects.get_or_create(name=name, defaults={"location": "starter/tiny", "created_at": NOW} | fields)[0]


def run(name="first run", **fields):
    from webapp.traces.models import Run, RunKind

    return Run.objects.create(name=name, kind=fields.pop("kind", RunKind.GENERATE), created_at=NOW, **fields)


def trace(
    of_run,
    of_problem,
    completion,
    *,
    sample_index=0,
    prompt=None,
    tokens=False,
    reasoning=None,
    finish="stop",
    **fields,
):
    """Save one trace as the stages do: parsed, with findings, and where `tokens` with a shard of its own."""
    from webapp.traces import actions, tokenstore
    from webapp.traces.models import Trace
    from webapp.traces.records import NewFinding, NewTrace
    from workers.parsing import parse, with_tokens

    prompt = of_problem.prompt if prompt is None else prompt
    parsed = parse(prompt, reasoning, completion, finish)
    segments, extra = parsed.segments, {}
    if tokens:
        arrays = token_arrays(prompt, completion, seed=sample_index, routed=tokens != "plain")
        spans = list(zip(arrays.text_start.tolist(), arrays.text_end.tolist(), strict=True))
        segments = with_tokens(segments, prompt, completion, spans)
        routed = arrays.expert_ids is not None
        meta = tokenstore.ShardMeta(
            LAYERS if routed else [], EXPERTS if routed else 0, TOP_K if routed else 0, "factories"
        )
        path = f"runs/{of_run.pk}/chunk-{of_problem.pk}-{sample_index}.parquet"
        asked = int(np.isnan(arrays.logprob).sum())
        extra = {
            "tokens": tokenstore.write_shard(path, [arrays], meta)[0],
            "prompt_tokens": asked,
            "completion_tokens": len(arrays) - asked,
            "mean_logprob": float(np.nanmean(arrays.logprob)),
            "mean_entropy": float(np.nanmean(arrays.entropy)),
        }
    findings = [NewFinding(f.kind, f.field, f.start, f.end, f.note) for f in parsed.findings]
    new = NewTrace(
        problem_id=of_problem.pk, sample_index=sample_index, prompt=prompt, completion=completion, segments=segments,
        created_at=NOW, findings=findings, reasoning=reasoning, finish_reason=finish, **extra | fields,
    )  # fmt: skip
    actions.add_traces(of_run, [new])
    return Trace.objects.get(run=of_run, problem=of_problem, sample_index=sample_index)


def verdict(of_trace, value="correct", *, minutes=0, **fields):
    from webapp.traces import actions
    from webapp.traces.records import NewVerdict

    fields = {"verifier": "math", "version": "0.9.0", "extracted": "42", "gold": "42", "method": "symbolic"} | fields
    actions.add_verdicts(
        [NewVerdict(trace_id=of_trace.pk, value=value, **fields)], by=None, at=NOW + timedelta(minutes=minutes)
    )


def seed_rows(shared_data, *, limit=None):
    lines = (shared_data / "traces_seed" / "traces_seed.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines[:limit]]


def demonstrate(shared_data):
    """A generated run with eight samples of a few problems, and a run of imported traces without tokens."""
    rows = seed_rows(shared_data)
    maths = problem_set("real questions")
    tiny = engine()
    generated = run(
        "tiny on real questions", engine=tiny, problem_set=maths, samples_per_problem=8, params={"temperature": 0.6}
    )
    imported = run("traces_seed", kind="import", problem_set=maths)
    tagged = [row for row in rows if "<think>" in row["raw"] and len(row["raw"]) < 9000]
    values = ["correct", "wrong", "correct", "undecidable", "correct"]
    for n in range(4):
        asked = problem(tagged[n * 8]["problem"], str(tagged[n * 8]["gold"]), of=maths)
        for sample in range(8):
            row = tagged[n * 8 + sample]
            made = trace(
                generated, asked, row["raw"], sample_index=sample, tokens=True, seed=1000 + sample, duration_seconds=3.4,
                prompt=f"<｜begin▁of▁sentence｜><｜User｜>{asked.prompt}<｜Assistant｜>",
                finish="length" if sample == 5 else "stop",
            )  # fmt: skip
            if sample != 7:
                verdict(
                    made,
                    values[sample % 5],
                    extracted="[1, 2]",
                    gold=asked.answer,
                    message="equal after simplification",
                )
    for n, row in enumerate(rows[:200]):
        asked = problem(row["problem"] or "", str(row["gold"]), of=maths)
        trace(
            imported, asked, row["raw"], sample_index=n, reasoning=row.get("reasoning"), model_name=row["model"] or "",
            provenance={name: row[name] for name in ("source", "repo", "commit", "licence")},
        )  # fmt: skip
    return generated, imported


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "webapp.settings")
    import django

    django.setup()
    demonstrate(Path(sys.argv[1]))
