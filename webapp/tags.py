"""Tags in one text column: lower-case words kept sorted between single spaces, so that a filter is ` tag ` in the column.

Left out: a tag table. Tags are read with their row and filtered by one word; both work alike on SQLite and PostgreSQL.
"""

import re

_TAG = re.compile(r"[a-z0-9][a-z0-9_.:-]{0,39}")


def canonical(words: str | list[str]) -> str:
    """Return the stored form of `words` (text separated by spaces or commas, or a list); "" for none.

    Raises ValueError naming the first word that is not a tag (letters a-z, digits, `_ . : -`, at most 40).
    """
    items = re.split(r"[\s,]+", words) if isinstance(words, str) else words
    tags = {item.strip().lower() for item in items if item.strip()}
    for tag in sorted(tags):
        if not _TAG.fullmatch(tag):
            raise ValueError(f"not a tag: {tag!r} (use letters a-z, digits and _ . : -, at most 40)")
    return f" {' '.join(sorted(tags))} " if tags else ""


def as_list(stored: str) -> list[str]:
    """The tags of a stored value, sorted."""
    return stored.split()
