"""What a procedural problem family is: an entry of reasoning-gym, put in our words, with a worked think trace.

reasoning-gym draws the problem and scores the answer; a family adds the phrasing, the trace that a small model can follow
(every step computed in pieces of one digit or one comparison) and a level of difficulty.

An item is a pure function of its family and its index. Which side of the train / held-out split it falls on is a property
of the problem alone (a hash of its key, which no phrasing changes), so nothing that was ever trained on can turn up in an
evaluation, whatever the seeds. Left out: files and the network. This package never imports torch, because the importer of
problem sets uses it as well.
"""

from __future__ import annotations

import hashlib
import random
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

Split = Literal["train", "heldout"]
Entry = dict[str, Any]

VERIFIER = "reasoning_gym"
HELDOUT_SHARE = 26 / 256  # of all problems, by a hash of their key
INDEX_SPACE = 2**40  # indices are drawn from here: two seeds practically never meet
MAX_MISSES = 2000  # draws in a row that gave nothing new before a family counts as exhausted


@dataclass(frozen=True)
class Item:
    """One problem: what is asked, the gold answer, a worked trace, and how reasoning-gym scores an answer to it."""

    prompt: str
    answer: str
    think: str
    family: str
    verifier: str
    verifier_args: dict[str, Any]
    difficulty: int  # 1 easy, 2 middling, 3 hard, within the family
    seed: int
    index: int  # the entry's index in the reasoning-gym dataset of seed 0
    key: str  # the bare problem, the same in every phrasing

    @property
    def split(self) -> Split:
        """The side of the split on which this problem always falls."""
        return split_of(self.family, self.key)


@dataclass(frozen=True)
class Draft:
    """What a family makes of one reasoning-gym entry."""

    prompt: str
    answer: str
    think: str
    difficulty: int
    key: str


@dataclass(frozen=True)
class Family:
    """A reasoning-gym dataset with small settings, and the function that phrases an entry and works it through.

    `write(entry, rng)` returns None for an entry that the family leaves out.
    """

    name: str
    title: str
    dataset: str
    settings: dict[str, Any]
    write: Callable[[Entry, random.Random], Draft | None]
    metadata_keys: tuple[str, ...]
    example_note: str
    weight: float = 1.0  # share of the training stream, relative to the others

    @cached_property
    def source(self) -> Any:
        """The reasoning-gym dataset of seed 0; any index below INDEX_SPACE can be asked of it."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of its third-party imports, not of ours
            import reasoning_gym  # noqa: PLC0415  half a second, and only generators need it

        return reasoning_gym.create_dataset(self.dataset, size=1, seed=0, **self.settings)

    def item(self, index: int, seed: int = 0) -> Item | None:
        """The item at an index, or None where the family leaves that entry out."""
        entry: Entry = self.source[index]
        draft = self.write(entry, random.Random(f"{self.name}/{index}"))
        if draft is None:
            return None
        metadata = {key: entry["metadata"][key] for key in self.metadata_keys}
        args = {"dataset": self.dataset, "metadata": metadata}
        level, key = draft.difficulty, draft.key
        return Item(draft.prompt, draft.answer, draft.think, self.name, VERIFIER, args, level, seed, index, key)

    def score(self, item: Item, answer: str | None) -> float:
        """reasoning-gym's own score of an answer: 1.0 is correct."""
        entry = {"question": item.prompt, "answer": item.answer, "metadata": item.verifier_args["metadata"]}
        return float(self.source.score_answer(answer, entry))


def split_of(family: str, key: str) -> Split:
    """`heldout` for about a tenth of all problems, chosen by hash: no training row ever holds one of them."""
    return "heldout" if hashlib.sha256(f"{family}/{key}".encode()).digest()[0] < HELDOUT_SHARE * 256 else "train"


def draw(family: Family, rng: random.Random, *, split: Split | None, seed: int) -> Item:
    """The next item of a family that lies on the wanted side of the split.

    Raises ValueError if the family has none to give.
    """
    for _ in range(MAX_MISSES):
        item = family.item(rng.randrange(INDEX_SPACE), seed)
        if item is not None and (split is None or item.split == split):
            return item
    raise ValueError(f"family {family.name!r} gave no {split or 'usable'} item in {MAX_MISSES} draws")
