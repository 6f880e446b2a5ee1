"""Takes a request's whole body in, before Django sees the request.

Two reasons. A WSGI application may only read as far as CONTENT_LENGTH says, and a chunked body has
none: Django reads it as empty, and a result that Heska sent would be lost with a 400. And a client
that sends slowly, or never finishes, would otherwise hold a thread of `pims.gate` and with it a
database connection. Large bodies wait on disk.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Iterator
from typing import IO, Any

from pims.problems import problem

CHUNK = 64 * 1024
IN_MEMORY = 1024 * 1024

Environ = dict[str, Any]
StartResponse = Callable[..., Any]
WSGIApp = Callable[[Environ, StartResponse], Iterable[bytes]]


def buffered(app: WSGIApp, limit: int) -> WSGIApp:
    """`app`, with every body read and measured.

    At most `limit` + 1 bytes are kept. Of a chunked body with one byte too many that is then the
    declared length, so that the application refuses it exactly as it refuses one that came with too
    large a Content-Length; of the latter it sees the beginning. What is over is read, up to four
    times the limit, and thrown away: a sender that is cut off while it sends never hears why.
    """

    def application(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        chunked = "chunked" in environ.get("HTTP_TRANSFER_ENCODING", "").lower()
        declared = environ.get("CONTENT_LENGTH") or "0"
        wanted = int(declared) if declared.isdecimal() and not chunked else limit + 1
        if not wanted:
            return app(environ, start_response)
        body = Body(max_size=IN_MEMORY)
        length = _copy(environ["wsgi.input"], body, min(wanted, limit + 1))
        if length > limit:
            rest = 4 * limit if chunked else min(wanted, 4 * limit)
            _copy(environ["wsgi.input"], None, rest - length)
        body.seek(0)
        environ["wsgi.input"] = body
        if chunked:
            # Away with the header: two statements about the length are how requests are smuggled.
            del environ["HTTP_TRANSFER_ENCODING"]
            environ["CONTENT_LENGTH"] = str(length)
        elif length < min(wanted, limit + 1):
            # Nobody is told that it was stored, so nobody may take the beginning for the whole.
            body.close()
            return plain(
                problem(400, "The body ended before its declared length", code="incomplete"),
                start_response,
            )
        return ThenClose(app(environ, start_response), body)

    return application


class Body(tempfile.SpooledTemporaryFile[bytes]):
    """In memory while it is small."""

    def read(self, *args: int) -> bytes:
        """Raises OSError after the answer was given (`pims.gate`), as for a client that has gone:
        who comes to read only then must not store anything."""
        if self.closed:
            raise OSError("Nobody waits for this answer any more")
        return super().read(*args)


class ThenClose:
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


def plain(response: Any, start_response: StartResponse) -> Iterable[bytes]:
    """A Django response that no middleware has seen, as WSGI wants it."""
    start_response(f"{response.status_code} {response.reason_phrase}", list(response.items()))
    return [response.content]


def _copy(source: IO[bytes], target: IO[bytes] | None, at_most: int) -> int:
    length = 0
    while length < at_most and (chunk := source.read(min(CHUNK, at_most - length))):
        if target:
            target.write(chunk)
        length += len(chunk)
    return length
