"""Token ranges of segments, from the characters that each token covers."""

import itertools
from bisect import bisect_left
from collections.abc import Sequence

from workers.parsing.parse import Segment


def with_tokens(
    segments: Sequence[Segment], prompt: str, completion: str, spans: Sequence[tuple[int, int]]
) -> list[Segment]:
    """Return the segments with `token_start` and `token_end` filled; those of the reasoning field have no tokens and stay as they are.

    `spans[i]` is (start, end) of token i in characters of prompt + completion joined; starts must not fall. A token belongs to the
    segment that its first character lies in; tokens without text at the very end (an end-of-sequence token) to the last one.
    Raises ValueError when starts fall.
    """
    starts = [int(start) for start, _ in spans]
    if any(later < earlier for earlier, later in itertools.pairwise(starts)):
        raise ValueError("token spans must be in the order of the text")
    shift = {"prompt": 0, "completion": len(prompt)}
    whole = len(prompt) + len(completion)

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
