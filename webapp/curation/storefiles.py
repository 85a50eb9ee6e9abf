"""Files of datasets and exports, read out of the store: streamed to a browser, zipped on the way, or a few rows to look at.

Every path comes from a row of ours and is checked once more to lie below the store; nothing from an address is a path.
Left out: writing. Jobs do that.
"""

import zipfile
from collections.abc import AsyncIterator, Collection, Iterable, Iterator
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq
from asgiref.sync import sync_to_async
from django.core.handlers.asgi import ASGIRequest
from django.http import HttpRequest, StreamingHttpResponse

from webapp.traces.shardfile import locate

CHUNK = 256 * 1024  # bytes read at a time


def open_file(path: str) -> BinaryIO:
    """Open a file of the store. Raises ValueError for a path that is not below it, FileNotFoundError when it is not there."""
    filesystem, full = locate(path)
    file: BinaryIO = filesystem.open(full, "rb")
    return file


def chunks(file: BinaryIO) -> Iterator[bytes]:
    """The content of `file` piece by piece; closes it at the end."""
    with file:
        while data := file.read(CHUNK):
            yield data


class _Outbox:
    """What a ZipFile writes to: bytes wait here until they are taken. It cannot seek, so sizes follow the data."""

    def __init__(self) -> None:
        self._waiting: list[bytes] = []

    def write(self, data: bytes) -> int:
        self._waiting.append(bytes(data))
        return len(data)

    def flush(self) -> None:
        """Nothing is held back."""

    def take(self) -> bytes:
        data = b"".join(self._waiting)
        self._waiting.clear()
        return data


def zipped(files: Iterable[tuple[str, str]]) -> Iterator[bytes]:
    """A zip archive of (name in the archive, path in the store), made piece by piece while it is read."""
    outbox: Any = _Outbox()
    with zipfile.ZipFile(outbox, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, path in files:
            info = zipfile.ZipInfo(name)  # without a clock: the same files make the same archive
            info.compress_type = zipfile.ZIP_DEFLATED
            with archive.open(info, "w", force_zip64=True) as entry:
                for data in chunks(open_file(path)):
                    entry.write(data)
                    if ready := outbox.take():
                        yield ready
    yield outbox.take()


def attachment(
    request: HttpRequest, content: Iterator[bytes], *, name: str, size: int | None = None
) -> StreamingHttpResponse:
    """A download that is never in memory as a whole; bytes that a browser saves and does not show."""
    streamed: Iterator[bytes] | AsyncIterator[bytes] = content
    if isinstance(request, ASGIRequest):  # there Django would first collect a plain iterator whole
        streamed = _in_threads(content)
    response = StreamingHttpResponse(streamed, content_type="application/octet-stream")
    response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    if size is not None:
        response.headers["Content-Length"] = str(size)
    return response


async def _in_threads(content: Iterator[bytes]) -> AsyncIterator[bytes]:
    step = sync_to_async(lambda: next(content, None), thread_sensitive=False)
    while (data := await step()) is not None:
        yield data


def beginning(path: str, limit: int) -> str:
    """The first `limit` bytes of a text file of the store. Raises ValueError when it is missing."""
    try:
        with open_file(path) as source:
            return source.read(limit).decode("utf-8", errors="replace")
    except OSError as error:
        raise ValueError(f"{path!r} cannot be read from the store: {error}") from error


def first_rows(path: str, count: int, columns: Collection[str]) -> list[dict[str, Any]]:
    """The first `count` rows of a Parquet file of the store, those of `columns` that it has.

    Raises ValueError when it is missing or damaged.
    """
    try:
        with open_file(path) as source:
            file = pq.ParquetFile(source)
            known = [name for name in file.schema_arrow.names if name in columns]
            batches = file.iter_batches(batch_size=count, columns=known)
            batch = next(batches, None)
            return [] if batch is None else batch.slice(0, count).to_pylist()
    except (OSError, pa.ArrowException) as error:
        raise ValueError(f"{path!r} cannot be read from the store: {error}") from error
