"""Uploaded files that wait for their import. They lie under a name of ours; the name that a person's file had is only words.

Left out: an object store. Web server and workers share the data folder (or mount the same one).
"""

import hashlib
import os
import re
import time
import uuid
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings
from django.utils.translation import gettext as _

KEEP_SECONDS = 7 * 24 * 3600
_ID = re.compile(r"[0-9a-f]{32}")
_SUFFIXES = re.compile(r"(\.(jsonl|ndjson|json|csv|tsv|parquet|pq|gz|zst|zstd))+$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class ImportSource:
    """What is imported: `file` is the id of an upload, or the absolute path of a file that a command was given."""

    file: str
    name: str
    size: int
    sha256: str

    def as_args(self) -> dict[str, object]:
        """The source as arguments of a job."""
        return {"file": self.file, "name": self.name, "size": self.size, "sha256": self.sha256}


def store(chunks: Iterable[bytes], name: str) -> ImportSource:
    """Keep an upload. Raises ValueError when it is larger than settings.MAX_UPLOAD_BYTES; nothing is left of it then."""
    prune()
    upload_id = uuid.uuid4().hex
    path = path_of(upload_id)
    path.parent.mkdir(parents=True, exist_ok=True)
    digest, size = hashlib.sha256(), 0
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            for chunk in chunks:
                size += len(chunk)
                _check_size(size)
                digest.update(chunk)
                file.write(chunk)
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    return ImportSource(upload_id, name[:200], size, digest.hexdigest())


def of_path(path: Path) -> ImportSource:
    """A file on this machine as a source, read once for its hash. Raises OSError when it cannot be read."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(2**20):
            digest.update(chunk)
    return ImportSource(str(path.resolve()), path.name[:200], path.stat().st_size, digest.hexdigest())


def store_file(path: Path) -> ImportSource:
    """Copy a file on this machine to the uploads, so that a worker finds it later. Raises as `store` and `of_path` do."""
    with path.open("rb") as file:
        return store(iter(lambda: file.read(2**20), b""), path.name)


def path_of(file: str) -> Path:
    """Where a source lies: below the uploads for an id of ours, else the absolute path itself. Raises ValueError for anything else."""
    if _ID.fullmatch(file):
        return Path(settings.DATA_DIR) / "uploads" / file
    if Path(file).is_absolute():
        return Path(file)
    raise ValueError(_("not an uploaded file: %(file)r") % {"file": file})


def stem_of(name: str) -> str:
    """A file's name without its endings, to name an import after."""
    return _SUFFIXES.sub("", name).strip() or name


def remove(file: str) -> None:
    """Delete an upload; a path that a command was given is not ours to delete."""
    if _ID.fullmatch(file):
        path_of(file).unlink(missing_ok=True)


def prune() -> None:
    """Delete uploads that nobody imported within a week."""
    oldest = time.time() - KEEP_SECONDS
    folder = Path(settings.DATA_DIR) / "uploads"
    for path in folder.iterdir() if folder.is_dir() else []:
        with suppress(FileNotFoundError):
            if _ID.fullmatch(path.name) and path.stat().st_mtime < oldest:
                path.unlink()


def _check_size(size: int) -> None:
    if size > settings.MAX_UPLOAD_BYTES:
        limit = settings.MAX_UPLOAD_BYTES // 2**20
        raise ValueError(_("The file is larger than %(limit)s MiB, the limit of this installation.") % {"limit": limit})
