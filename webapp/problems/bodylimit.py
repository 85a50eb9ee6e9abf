"""Refuses request bodies beyond a limit while they arrive, before Django has spooled them to disk and before anyone is logged in."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

Message = Mapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[dict[str, Any], Receive, Send], Awaitable[None]]

OVERHEAD = 2**20  # what a form may hold beside its file


class BodyLimit:
    """An ASGI application around another: a body of more than `max_file` bytes (and the form around it) is answered with 413."""

    def __init__(self, app: App, max_file: int) -> None:
        self._app = app
        self._limit = max_file + OVERHEAD

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        declared = dict(scope["headers"]).get(b"content-length", b"0")
        if declared.isdigit() and int(declared) > self._limit:
            await self._refuse(send)
            return
        received = 0

        async def counted() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            # Django drops what it has on a disconnect and answers nothing
            return message if received <= self._limit else {"type": "http.disconnect"}

        await self._app(scope, counted, send)
        if received > self._limit:
            await self._refuse(send)

    async def _refuse(self, send: Send) -> None:
        words = f"The request is larger than this installation accepts ({self._limit // 2**20:,} MiB).".encode()
        headers = [
            (b"content-type", b"text/plain; charset=utf-8"),
            (b"content-length", str(len(words)).encode()),
            (b"connection", b"close"),
        ]
        await send({"type": "http.response.start", "status": 413, "headers": headers})
        await send({"type": "http.response.body", "body": words})
