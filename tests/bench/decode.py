"""Tokens a second while decoding: against transformers, and what capture costs."""

from collections.abc import Callable

from tests.bench.measure import Bench, Rate, median, verdict

MANY = 100_000  # prompt tokens of a batch at which transformers takes seconds a step; both sides then write an eighth as many new ones


def decode(bench: Bench) -> None:
    """Ours with capture, without speculation, against `transformers.generate`."""
    bench.table(
        f"tokens a second, {bench.tokens} new ones unless said, capture on, ours : transformers",
        ("prompt", "batch", "whole call", "ratio", "decode alone", "ratio", "rounds"),
        (_against_transformers(bench, batch, length) for length in bench.lengths for batch in bench.batches),
    )


def _against_transformers(bench: Bench, batch: int, length: int) -> tuple:
    prompts: dict[int, list[list[int]]] = {}
    tokens = bench.tokens if batch * length < MANY else bench.tokens // 8

    def of(number: int) -> list[list[int]]:
        return prompts.setdefault(number, bench.prompts(batch, length, number))

    got = bench.alternate(
        {
            "ours": lambda number: bench.ours(of(number), tokens),
            "theirs": lambda number: Rate(*bench.reference.generate(of(number), tokens)),
        }
    )
    (whole, alone), (their_whole, their_alone) = (
        [median([getattr(rate, part) for rate in got[side]]) for part in Rate._fields] for side in ("ours", "theirs")
    )
    target = bench.targets.get("decode", {}).get(batch)
    return (
        length, f"{batch}" if tokens == bench.tokens else f"{batch} ({tokens} new)", f"{whole:,.0f} : {their_whole:,.0f}", verdict(whole / their_whole, target),
        f"{alone:,.0f} : {their_alone:,.0f}", verdict(alone / their_alone, target), len(got["ours"]),
    )  # fmt: skip


def capture(bench: Bench) -> None:
    """What capturing costs. A few percent drown in what else a machine does, so each step counts as its fastest over all rounds."""
    bench.table(
        "what capture costs, tokens a second after a prompt of 64, each step at its fastest",
        ("batch", "off", "on", "full", "on costs", "full costs", "rounds"),
        (_with_and_without(bench, batch) for batch in bench.batches if batch <= 32),
    )


def _with_and_without(bench: Bench, batch: int) -> tuple:
    def side(how: bool | str) -> Callable[[int], list[float]]:
        return lambda number: bench.steps(bench.prompts(batch, 64, number), bench.tokens, capture=how)

    got = bench.alternate({"off": side(False), "on": side(True), "full": side("full")}, times=3)
    spent = {name: sum(map(min, zip(*rounds, strict=True))) for name, rounds in got.items()}
    costs = [100 * (spent[name] / spent["off"] - 1) for name in ("on", "full")]
    told = [f"{cost:+.1f} % of 3 {'ok' if cost <= 3 else 'MISSED'}" for cost in costs]
    return batch, *(batch * bench.tokens / seconds for seconds in spent.values()), *told, len(got["off"])
