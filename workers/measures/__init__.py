"""What is measured on a think: how much it repeats itself, how much of it is in given languages. A plain library."""

from workers.measures.language import language_share
from workers.measures.repetition import repeated_share

__all__ = ["language_share", "repeated_share"]
