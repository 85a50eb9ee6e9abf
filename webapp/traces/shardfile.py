"""Files of the token store: where they lie, how one appears whole, once, and never changes, how one is opened.

Left out: what is in them (tokenstore.py).
"""

import os
import re
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
from django.conf import settings
from fsspec.implementations.local import LocalFileSystem

_SEGMENT = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.=-]*")


def locate(path: str) -> tuple[Any, str]:
    """The filesystem and the full path of `path` in it. ValueError for what is not a plain path below the store."""
    if not all(_SEGMENT.fullmatch(part) for part in path.split("/")):
        raise ValueError(f"not a path below the token store: {path!r}")
    filesystem, root = fsspec.core.url_to_fs(settings.STORE_URL)
    return filesystem, f"{root.rstrip('/')}/{path}"


def publish(path: str, data: bytes, *, is_same: Callable[[pq.ParquetFile], bool]) -> None:
    """Make `data` visible as `path`, at once and whole.

    Where the path is taken, `is_same` judges the file that is there: equal content is fine, other content a ValueError.
    """
    filesystem, full = locate(path)
    try:
        if isinstance(filesystem, LocalFileSystem):
            _link_into_place(Path(full), data)
        else:  # an object store shows an object when all of it has arrived
            filesystem.pipe_file(full, data, mode="create")
    except FileExistsError:
        with OpenShard(path) as file:
            if not is_same(file):
                raise ValueError(f"shard {path!r} exists with other content; shards are written once") from None


def _link_into_place(target: Path, data: bytes) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}.{uuid.uuid4().hex}.part")
    try:
        with temporary.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.link(temporary, target)  # unlike a rename, refuses to replace another writer's shard
    finally:
        temporary.unlink(missing_ok=True)


class OpenShard:
    """A shard open for reading; what its file or its format gets wrong leaves as a ValueError that names the shard."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._source: BinaryIO | None = None

    def __enter__(self) -> pq.ParquetFile:
        filesystem, full = locate(self.path)
        try:
            self._source = filesystem.open(full, "rb")
            return pq.ParquetFile(self._source)
        except FileNotFoundError:
            raise ValueError(f"the token store has no shard {self.path!r}") from None
        except (pa.ArrowException, OSError) as error:
            self._close()
            raise self._damaged(error) from error

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        self._close()
        if isinstance(error, pa.ArrowException | OSError):
            raise self._damaged(error) from error

    def _close(self) -> None:
        if self._source is not None:
            self._source.close()

    def _damaged(self, error: BaseException) -> ValueError:
        return ValueError(f"shard {self.path!r} cannot be read: {error}")
