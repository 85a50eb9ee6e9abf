"""Where the think and the answer of a trace are, and what is not well-formed about it. A plain library: no Django.

    parsed = parse(prompt, reasoning, completion, finish_reason)
    parsed.segments   # [{"kind", "field", "start", "end", "token_start", "token_end"}], covering every character once
    parsed.findings   # [Found(kind, field, start, end, note)]

The text is never altered: segments and findings point into it, in characters. Tags themselves are of kind `other`.
Left out: chat templates (a prompt is one segment) and Markdown beyond what tells quoted tags from real ones.
"""

from workers.parsing.parse import Found, Parsed, Segment, parse
from workers.parsing.texts import answer_text, think_text
from workers.parsing.tokens import with_tokens

__all__ = ["Found", "Parsed", "Segment", "answer_text", "parse", "think_text", "with_tokens"]
