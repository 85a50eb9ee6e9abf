"""The engine that this process holds in memory: one at a time, loaded when first asked for and kept until another is.

Torch comes with `inference`, which is imported inside functions only: all workers import the stages, but only the one that
generates may load torch.
"""

import threading
from typing import TYPE_CHECKING

from django.conf import settings
from django.utils.translation import gettext as _

from webapp.engines.models import Engine as EngineRow

if TYPE_CHECKING:
    from inference import Engine

_lock = threading.Lock()
_held: dict[tuple[str, str], "Engine"] = {}


def engine(row: EngineRow) -> "Engine":
    """The engine of `row`. Raises ValueError when its checkpoint cannot be loaded or is no longer the one that was registered."""
    from inference import Engine, checkpoint_hash, set_threads  # noqa: PLC0415  # see the module

    place = (row.location, row.checkpoint_hash)
    with _lock:
        if place not in _held:
            _held.clear()  # before the next one is loaded: two may not fit
            set_threads(settings.TORCH_THREADS)
            loaded = Engine.load(row.location)
            if row.checkpoint_hash and checkpoint_hash(loaded.path) != row.checkpoint_hash:
                words = _(
                    "The files in %(folder)s are not those that were registered as %(name)s. Register them under a name of "
                    "their own: manage.py register_engine %(folder)s --name NAME"
                )
                raise ValueError(words % {"folder": row.location, "name": row.name})
            _held[place] = loaded
        return _held[place]


def warm() -> None:
    """Import torch now, so that the first person who asks does not wait for it."""
    import inference  # noqa: F401, PLC0415  # see the module
