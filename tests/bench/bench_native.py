"""Each native kernel against plain torch on the same numbers: `python -m tests.bench.bench_native [--threads 1 2]`.

The two sides take turns and the fastest call of each counts, so that a busy machine shows less; the ratio is what matters. Attention's plain side
is the one of inference/mla.py: gather the rows, two batched products, softmax.
"""

# ruff: noqa: T201  # a benchmark prints its figures

import argparse
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
from torch.nn import functional

from inference import native
from inference.experts import one_by_one
from inference.gate import Routed
from inference.linear import Norm
from inference.records import SamplingParams
from inference.sampling import sample

Call = Callable[[], object]
ROWS = (1, 8, 32, 128)
PRODUCTS = ((192, 192), (192, 1024), (512, 192), (192, 512), (1536, 8960))  # inputs, outputs


class Case(NamedTuple):
    """One line of the table: the same work on both sides, and its multiply-adds (0: not worth counting)."""

    name: str
    ours: Call
    plain: Call
    work: float = 0.0


def fastest(sides: tuple[Call, Call], seconds: float) -> list[float]:
    """Microseconds of each side's fastest call."""
    best, end = [1e9, 1e9], time.perf_counter() + seconds
    for side in sides:
        side()
    while best[1] == 1e9 or time.perf_counter() < end:
        for index, side in enumerate(sides):
            for _ in range(3):
                began = time.perf_counter()
                side()
                best[index] = min(best[index], time.perf_counter() - began)
    return [each * 1e6 for each in best]


def products() -> Iterator[Case]:
    for depth, n in PRODUCTS:
        w = torch.randn(n, depth)
        packed, turned = native.pack(w), w.t()
        for rows in (*ROWS, 2048):
            x = torch.randn(rows, depth)
            yield Case(
                f"linear {rows}x{depth}x{n}",
                lambda x=x, packed=packed, n=n: native.linear(x, packed, n),
                lambda x=x, turned=turned: torch.mm(x, turned),
                rows * depth * n,
            )


def norms() -> Iterator[Case]:
    norm = Norm(torch.randn(192), 1e-6)
    for rows in ROWS:
        x = torch.randn(rows, 192)
        yield Case(
            f"rms_norm {rows}x192",
            lambda x=x: native.rms_norm(x, norm.weight, norm.eps),
            lambda x=x: norm(x),
        )


def feed_forwards() -> Iterator[Case]:
    hidden, inter, count, chosen = 192, 96, 16, 2
    w_in, w_out = torch.randn(count, 2 * inter, hidden), torch.randn(count, hidden, inter)
    packed_in, packed_out = (torch.stack([native.pack(w) for w in each]) for each in (w_in, w_out))
    shared = packed_in[0], packed_out[0], inter
    turned = [(w_in[e].t(), w_out[e].t()) for e in range(count)]
    for rows in ROWS:
        x, ids = torch.randn(rows, hidden), torch.rand(rows, count).topk(chosen, -1).indices
        weights = torch.rand(rows, chosen)
        routed = Routed(ids, weights, None)

        def plain(x: torch.Tensor = x, routed: Routed = routed) -> torch.Tensor:
            gate, up = torch.mm(x, turned[0][0]).chunk(2, -1)
            base = x + torch.mm(functional.silu(gate) * up, turned[0][1])
            return base.index_add_(0, *one_by_one(x, routed, count, turned.__getitem__))

        yield Case(
            f"experts {rows}x192, 2 of 16 + 1",
            lambda x=x, ids=ids, weights=weights: native.experts(
                x, ids, weights, packed_in, packed_out, inter, x, shared
            ),
            plain,
            rows * 3 * hidden * inter * (chosen + 1),
        )


def attentions() -> Iterator[Case]:
    heads, nope, value = 4, 32, 32
    for rank, rope, context in ((64, 16, 128), (64, 16, 1024), (512, 64, 256), (512, 64, 4096)):
        w_uk, w_uv = torch.randn(heads, nope, rank), torch.randn(heads, value, rank)
        packed = native.pack_heads(w_uk.transpose(1, 2)), native.pack_heads(w_uv)
        for rows in ROWS:
            if rows * context > 1 << 16:
                continue
            blocks = context // 16
            pool, tables = torch.randn(rows * context, rank + rope), torch.randperm(rows * blocks).view(rows, -1).int()
            q, lengths = torch.randn(rows, heads, nope + rope), torch.full((rows,), context)
            slots = (tables.long()[..., None] * 16 + torch.arange(16)).flatten(1)

            def plain(
                q: torch.Tensor = q,
                pool: torch.Tensor = pool,
                slots: torch.Tensor = slots,
                w_uk: torch.Tensor = w_uk,
                w_uv: torch.Tensor = w_uv,
            ) -> torch.Tensor:
                latent = torch.einsum("thn,hnc->thc", q[..., :nope], w_uk)
                kept = pool[slots]
                scores = torch.bmm(torch.cat((latent, q[..., nope:]), -1), kept.transpose(1, 2)) * 0.1
                looked = torch.bmm(torch.softmax(scores, -1), kept[..., : w_uk.shape[2]])
                return torch.einsum("thc,hvc->thv", looked, w_uv)

            yield Case(
                f"mla_decode {rows}x{context}, {rank} + {rope}",
                lambda q=q, packed=packed, pool=pool, tables=tables, lengths=lengths: native.mla_decode(
                    q, *packed, pool, tables, lengths, 16, 0.1
                ),
                plain,
                rows * heads * (context * (2 * rank + rope) + rank * (nope + value)),
            )


def samplings() -> Iterator[Case]:
    for temperature, top_k, top_p in ((0.0, 0, 1.0), (1.0, 0, 1.0), (0.7, 0, 0.95)):
        params = SamplingParams(temperature=temperature, top_k=top_k, top_p=top_p)
        for rows in ROWS:
            logits, draws = torch.randn(rows, 512), torch.rand(rows, dtype=torch.float64)
            yield Case(
                f"sample {rows}x512, t {temperature:g}, p {top_p:g}",
                lambda logits=logits, draws=draws, p=params: native.sample(
                    logits, p.temperature, p.top_k, p.top_p, draws
                ),
                lambda logits=logits, draws=draws, p=params: sample(logits, p, draws, kernels=False),
            )


PARTS = {"linear": products, "norm": norms, "experts": feed_forwards, "attention": attentions, "sample": samplings}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", choices=[[], *PARTS], help="all where none is named")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--seconds", type=float, default=0.1, help="of each line")
    options = parser.parse_args()
    if not native.available():
        raise SystemExit("the native kernels are not available; python -m inference.native.build says why")
    torch.manual_seed(7)
    for threads in options.threads:
        torch.set_num_threads(threads)
        print(f"{threads} threads: microseconds of the fastest call")
        with torch.inference_mode():
            for part in options.parts or PARTS:
                for case in PARTS[part]():
                    ours, plain = fastest((case.ours, case.plain), options.seconds)
                    rate = f"{2e-3 * case.work / ours:7.1f} GFLOP/s" if case.work else ""
                    print(
                        f"  {case.name:34s} ours {ours:10.1f}   torch {plain:10.1f}   ratio {plain / ours:6.2f} {rate}"
                    )


if __name__ == "__main__":
    main()
