"""The secret key of an installation: made once, kept beside its data, readable by its owner alone."""

import os
import secrets
import tempfile
from contextlib import suppress
from pathlib import Path


def read_or_create_secret(path: Path) -> str:
    """Return the key in `path`, creating it (mode 0600) when there is none; processes that race agree on one key."""
    if not path.exists():
        descriptor, name = tempfile.mkstemp(dir=path.parent)  # mkstemp opens with mode 0600
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(secrets.token_urlsafe(50))
        with suppress(FileExistsError):
            os.link(name, path)
        Path(name).unlink()
    return path.read_text(encoding="ascii").strip()
