"""The engine that this process holds in memory: one at a time, loaded when first asked for and kept until another is."""

import hashlib
import threading
from typing import TYPE_CHECKING

from django.conf import settings

from webapp.engines.models import Engine as EngineRow

if TYPE_CHECKING:
    from inference import Engine

_lock = threading.Lock()
_held: dict[tuple[str, str], "Engine"] = {}


def engine(row: EngineRow) -> "Engine":
    """The engine of `row`. Raises ValueError when its checkpoint cannot be loaded or is no longer the one that was registered."""
    from inference import Engine, checkpoint_hash, set_threads  # noqa: PLC0415  # torch: only the worker that generates loads it

    place = (row.location, row.checkpoint_hash)
    with _lock:
        if place not in _held:
            _held.clear()
            set_threads(settings.TORCH_THREADS)
            loaded = Engine.load(row.location)
            if row.checkpoint_hash and checkpoint_hash(loaded.path) != row.checkpoint_hash:
                raise ValueError(
                    f"the files in {row.location} are not those that were registered as {row.name!r}. "
                    f"Register them under a name of their own: manage.py register_engine {row.location} --name NAME"
                )
            _held[place] = loaded
        return _held[place]


def seed_of(run_seed: int, problem_key: str, sample_index: int) -> int:
    """A sample's seed, below 2^63, from what it must depend on and nothing else."""
    text = f"{run_seed}:{problem_key}:{sample_index}"
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1
