"""Gives chunked bodies a length, before Django sees them.

A WSGI application may only read as far as CONTENT_LENGTH says, and a chunked body has none: Django
reads it as empty and a result that Heska sent would be lost with a 400. So such a body is read here
first, onto disk where it is large.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Iterator
from typing import IO, Any

CHUNK = 64 * 1024
IN_MEMORY = 1024 * 1024

Environ = dict[str, Any]
WSGIApp = Callable[[Environ, Callable[..., Any]], Iterable[bytes]]


def buffer_chunked(app: WSGIApp, limit: int) -> WSGIApp:
    """`app`, with every chunked body measured.

    At most `limit` + 1 bytes are taken. One byte too many is then the declared length, so that the
    application refuses the body exactly as it refuses one that came with too large a
    Content-Length.
    """

    def application(environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        if "chunked" not in environ.get("HTTP_TRANSFER_ENCODING", "").lower():
            return app(environ, start_response)
        body = tempfile.SpooledTemporaryFile(max_size=IN_MEMORY)  # noqa: SIM115
        length = _copy(environ["wsgi.input"], body, limit + 1)
        body.seek(0)
        # Away with the header: two statements about the length are how requests are smuggled.
        del environ["HTTP_TRANSFER_ENCODING"]
        environ |= {"wsgi.input": body, "CONTENT_LENGTH": str(length)}
        return _ThenClose(app(environ, start_response), body)

    return application


class _ThenClose:
    """The application's answer, whose close also takes the body off the disk."""

    def __init__(self, answer: Iterable[bytes], body: IO[bytes]) -> None:
        self._answer, self._body = answer, body

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._answer)

    def close(self) -> None:
        self._body.close()
        close = getattr(self._answer, "close", None)
        if close is not None:
            close()


def _copy(source: IO[bytes], target: IO[bytes], at_most: int) -> int:
    length = 0
    while length < at_most and (chunk := source.read(min(CHUNK, at_most - length))):
        target.write(chunk)
        length += len(chunk)
    return length
