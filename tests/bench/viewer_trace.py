"""A trace of DeepSeek-V3's shape for the viewer's benchmark, written straight into the token store: made-up words, random routing.

Left out: anything that a model would say. Random routing is the hardest to compress and to paint: no two neighbours agree.
"""

import numpy as np

LAYERS, EXPERTS, TOP_K, GROUPS = list(range(3, 61)), 256, 8, 8
PROMPT = "Which of these words come twice?\n"
_SYLLABLES = [
    "ka",
    "lo",
    "mir",
    "then",
    "so",
    "wait",
    "sum",
    "two",
    "ab",
    "or",
    "the",
    "real",
    "if",
    "等等",
    "sin",
    "pro",
]


def text_and_spans(tokens, rng):
    """Completion text and the [start, end) of each token in prompt + completion: lines of about 60 words, as a think has."""
    pieces, spans, place = [], [], 0
    head = [PROMPT, "<think>"]
    for n in range(tokens):
        if n < len(head):
            piece = head[n]
        elif n == tokens - 20:
            piece = "</think>"
        else:
            word = rng.integers(0, len(_SYLLABLES), rng.integers(1, 3))
            piece = ".\n\n" if n % 61 == 60 else " " + "".join(_SYLLABLES[w] for w in word)
        pieces.append(piece)
        spans.append((place, place + len(piece)))
        place += len(piece)
    return "".join(pieces[1:]), np.array(spans, dtype=np.int32)


def arrays(spans, rng):
    """TokenArrays with random routing: each token eight different experts in each layer."""
    from webapp.traces.tokenstore import TokenArrays

    n, layers = len(spans), len(LAYERS)
    first = rng.integers(0, EXPERTS, (n, layers, 1), dtype=np.uint16)
    stride = (
        rng.integers(0, EXPERTS // 2, (n, layers, 1), dtype=np.uint16) * 2 + 1
    )  # odd, so that no expert comes twice
    ids = (first + stride * np.arange(TOP_K, dtype=np.uint16)) % EXPERTS
    entropy = rng.gamma(0.7, 0.6, n).astype(np.float32)
    logprob = -(entropy * rng.gamma(1.2, 0.7, n)).astype(np.float32)
    entropy[0] = logprob[0] = np.nan
    return TokenArrays(
        token_id=rng.integers(0, 129_280, n).astype(np.int32), text_start=spans[:, 0], text_end=spans[:, 1],
        logprob=logprob, entropy=entropy,
        expert_ids=ids.astype(np.uint8), gate_weights=rng.random((n, layers, TOP_K), dtype=np.float32).astype(np.float16),
    )  # fmt: skip


def save(tokens, seed=0):
    """Save the trace in the database and the store that Django is set up for; the Trace and its text."""
    from tests.webapp.traces import factories as make
    from webapp.traces import actions, tokenstore
    from webapp.traces.models import Trace
    from webapp.traces.records import NewTrace
    from workers.parsing import parse, with_tokens

    rng = np.random.default_rng(seed)
    completion, spans = text_and_spans(tokens, rng)
    meta = tokenstore.ShardMeta(LAYERS, EXPERTS, TOP_K, "bench_viewer", n_group=GROUPS)
    run, problem = make.run("bench"), make.problem(PROMPT)
    place = tokenstore.write_shard(f"runs/{run.pk}/bench.parquet", [arrays(spans, rng)], meta)[0]
    parsed = parse(PROMPT, None, completion, "stop")
    segments = with_tokens(parsed.segments, PROMPT, completion, [tuple(span) for span in spans.tolist()])
    new = NewTrace(
        problem_id=problem.pk, sample_index=0, prompt=PROMPT, completion=completion, segments=segments, created_at=make.NOW,
        finish_reason="stop", tokens=place, prompt_tokens=1, completion_tokens=tokens - 1,
    )  # fmt: skip
    actions.add_traces(run, [new])
    return Trace.objects.get(run=run), PROMPT + completion
