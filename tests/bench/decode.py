"""Tokens a second while decoding: against transformers, and what capture costs."""

from tests.bench.measure import Bench, Rate, median, ours, verdict

BATCHES = (1, 8, 32, 128)
PROMPTS = (64, 1_024)
MANY = 100_000  # prompt tokens of a batch at which transformers takes seconds a step; both sides then write an eighth as many new ones


def decode(bench: Bench) -> None:
    """Ours with capture, without speculation, against `transformers.generate`."""
    lengths, batches = (PROMPTS[:1], BATCHES[:2]) if bench.quick else (PROMPTS, BATCHES)
    rows = [_against_transformers(bench, batch, length) for length in lengths for batch in batches]
    bench.table(
        f"tokens a second, {bench.tokens} new ones unless said, capture on, ours : transformers",
        ("prompt", "batch", "whole call", "ratio", "decode alone", "ratio", "rounds"),
        rows,
    )


def _against_transformers(bench: Bench, batch: int, length: int) -> tuple:
    prompts: dict[int, list[list[int]]] = {}
    tokens = bench.tokens if batch * length < MANY else bench.tokens // 8

    def of(number: int) -> list[list[int]]:
        return prompts.setdefault(number, bench.prompts(batch, length, number))

    got = bench.alternate(
        {
            "ours": lambda number: ours(bench.engine, of(number), tokens),
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
    """What capturing costs: each round's time with it over the same round's time without."""
    rows = []
    for batch in (1, 8) if bench.quick else (1, 8, 32):

        def side(how, batch=batch):
            return lambda number: ours(bench.engine, bench.prompts(batch, 64, number), bench.tokens, capture=how).whole

        # a few percent are to be told apart, so three times the rounds
        got = bench.alternate({"off": side(False), "on": side(True), "full": side("full")}, times=3)
        costs = [
            100 * median([off / on - 1 for off, on in zip(got["off"], got[name], strict=True)])
            for name in ("on", "full")
        ]
        rows.append(
            (batch, *(median(got[n]) for n in got), *(f"{cost:+.1f} % of 3 {'ok' if cost <= 3 else 'MISSED'}" for cost in costs),
             len(got["off"]))
        )  # fmt: skip
    bench.table(
        "what capture costs, tokens a second after a prompt of 64",
        ("batch", "off", "on", "full", "on costs", "full costs", "rounds"),
        rows,
    )
