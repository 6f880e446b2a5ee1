"""What was said in each call to Heska, without its secrets, for whoever wants to keep it.

A recorder is of the thread that set it: `client` knows of no rows, and a call that nobody records
is made all the same.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

from integrations.heska.wire import masking


@dataclass(kw_only=True)
class Exchange:
    """One call. `kind`: token or order; `status` None where there was no answer; `error` then says
    why, for people."""

    kind: str
    path: str
    headers: dict[str, str]
    body: bytes
    status: int | None = None
    reply_headers: dict[str, str] = field(default_factory=dict)
    reply: bytes = b""
    seconds: float = 0.0
    error: str = ""


Recorder = Callable[[Exchange], None]
_recorder: ContextVar[Recorder | None] = ContextVar("recorder", default=None)


@contextmanager
def recorded(by: Recorder) -> Iterator[None]:
    """Tell `by` of each call that is made meanwhile, as soon as it is over."""
    before = _recorder.set(by)
    try:
        yield
    finally:
        _recorder.reset(before)


class Call:
    """A call that is under way. `secrets`: what must not be kept of it, wherever it stands."""

    def __init__(
        self, *, kind: str, path: str, headers: dict[str, str], body: str, secrets: list[str]
    ) -> None:
        self._secrets = secrets
        self._started = time.monotonic()
        self.exchange = Exchange(
            kind=kind,
            path=path,
            headers=masking.headers(headers.items(), secrets),
            body=masking.without(body.encode(), secrets),
        )

    def answered(self, status: int, headers: dict[str, str], body: bytes) -> None:
        found = self.exchange
        found.status = status
        found.reply_headers = masking.headers(headers.items(), self._secrets)
        body = masking.without(body, self._secrets)
        found.reply = masking.token_reply(body) if self._holds_token(status) else body

    def over(self, error: str = "") -> None:
        """Tell whoever records."""
        self.exchange.seconds = time.monotonic() - self._started
        self.exchange.error = error
        if by := _recorder.get():
            by(self.exchange)

    def _holds_token(self, status: int) -> bool:
        return self.exchange.kind == "token" and 200 <= status < 300
