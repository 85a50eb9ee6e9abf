"""Bodies beyond the limit are answered with 413, whatever they declare; others pass untouched."""

import asyncio

import pytest

from webapp.problems.bodylimit import OVERHEAD, BodyLimit

LIMIT = 100


def request(body, *, headers=(), part=2**16):
    """(status, bytes that the application inside saw) of a request sent in parts."""
    parts = [body[i : i + part] for i in range(0, len(body), part)] or [b""]
    messages = [{"type": "http.request", "body": p, "more_body": i < len(parts) - 1} for i, p in enumerate(parts)]
    sent, seen = [], []

    async def receive():
        return messages.pop(0)

    async def send(message):
        sent.append(message)

    async def inside(scope, receive, send):
        while (message := await receive())["type"] == "http.request":
            seen.append(message["body"])
            if not message["more_body"]:
                await send({"type": "http.response.start", "status": 200, "headers": []})
                return

    asyncio.run(BodyLimit(inside, LIMIT)({"type": "http", "headers": list(headers)}, receive, send))
    return sent[0]["status"], b"".join(seen)


@pytest.mark.parametrize("size", [0, 1, LIMIT, LIMIT + OVERHEAD])
def test_body_within_the_limit_passes_whole(size):
    assert request(b"x" * size, headers=[(b"content-length", str(size).encode())]) == (200, b"x" * size)


def test_declared_size_is_refused_before_anything_is_read():
    body = b"x" * (LIMIT + OVERHEAD + 1)

    assert request(body, headers=[(b"content-length", str(len(body)).encode())]) == (413, b"")


@pytest.mark.parametrize("headers", [[], [(b"content-length", b"5")], [(b"content-length", b"many")]])
def test_body_that_declares_less_is_cut_off(headers):
    status, seen = request(b"x" * (LIMIT + 2 * OVERHEAD), headers=headers)

    assert status == 413
    assert len(seen) <= LIMIT + OVERHEAD


def test_other_protocols_pass():
    seen = []

    async def inside(scope, receive, send):
        seen.append(scope["type"])

    asyncio.run(BodyLimit(inside, LIMIT)({"type": "lifespan"}, None, None))
    assert seen == ["lifespan"]
