"""Token ranges of segments, from the characters that each token covers."""

import itertools
from bisect import bisect_left
from collections.abc import Sequence

from workers.parsing.parse import Segment


def with_tokens(
    segments: Sequence[Segment],
    prompt: str,
    completion: str,
    spans: Sequence[tuple[int, int]],
    *,
    reasoning: str | None = None,
) -> list[Segment]:
    """Return the segments with `token_start` and `token_end` filled; those of a field that has no tokens stay as they are.

    `spans[i]` is (start, end) of token i in characters of prompt + completion joined, with `reasoning` between them where it is given, a field
    of its own that has tokens; starts must not fall. A token belongs to the
    segment that its first character lies in; tokens without text at the very end (an end-of-sequence token) to the last one.
    Raises ValueError when starts fall.
    """
    starts = [int(start) for start, _ in spans]
    if any(later < earlier for earlier, later in itertools.pairwise(starts)):
        raise ValueError("token spans must be in the order of the text")
    before = len(prompt) + len(reasoning or "")
    shift = {"prompt": 0, "completion": before}
    if reasoning is not None:
        shift["reasoning"] = len(prompt)
    whole = before + len(completion)

    def token_at(character: int) -> int:
        return len(starts) if character == whole else bisect_left(starts, character)

    filled: list[Segment] = []
    for segment in segments:
        field = str(segment["field"])
        if field not in shift:
            filled.append(dict(segment))
            continue
        start, end = (shift[field] + int(str(segment[edge])) for edge in ("start", "end"))
        filled.append({**segment, "token_start": token_at(start), "token_end": token_at(end)})
    return filled
