"""A connection that obeys our own clock. Timeouts of sockets are per packet: a peer that sends a
byte of its head, or of its handshake, every few seconds keeps within them for ever."""

from __future__ import annotations

import contextlib
import queue
import socket
import threading
import time
from typing import Any

from urllib3.connection import HTTPConnection, HTTPSConnection

from labs.failpoints import failpoint

CONNECT_SECONDS = 5.0


class Watch:
    """One call, as a context manager: when it must be over, and whether any byte of it has left.

    At the deadline the socket is shut, whatever it is at: the thread that waits on it wakes with an
    end of file or an error, and finds `over` set.
    """

    def __init__(self, seconds: float) -> None:
        self._ends = time.monotonic() + seconds
        self._lock = threading.Lock()
        self._handle: socket.socket | None = None
        self._timer = threading.Timer(seconds, self._end)
        self._timer.daemon = True
        self.over = False
        self.sent = False

    def __enter__(self) -> Watch:
        self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()
        with self._lock:
            if self._handle is not None:
                self._handle.close()
                self._handle = None

    def left(self) -> float:
        """Seconds. Raises TimeoutError where there are none."""
        seconds = self._ends - time.monotonic()
        if self.over or seconds <= 0:
            raise TimeoutError("The call took too long.")
        return seconds

    def opened(self, sock: socket.socket) -> None:
        # A handle of our own: TLS takes the socket's away before its handshake, which can be
        # dripped like anything else.
        with self._lock:
            self._handle = sock.dup()

    def _end(self) -> None:
        with self._lock:
            self.over = True
            if self._handle is not None:
                with contextlib.suppress(OSError):
                    self._handle.shutdown(socket.SHUT_RDWR)


class _Watched(HTTPConnection):
    watch: Watch

    def _new_conn(self) -> socket.socket:
        sock = _connect(self._dns_host, self.port or 0, self.watch)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.watch.opened(sock)
        return sock

    def send(self, data: Any) -> None:
        if self.sock is None:
            self.connect()
        self.watch.left()  # not a byte after the deadline: what never left is not "unknown"
        self.watch.sent = True
        super().send(data)

    def getresponse(self) -> Any:
        failpoint("sent")
        return super().getresponse()


class Plain(_Watched):
    pass


class Secure(_Watched, HTTPSConnection):
    pass


def _connect(host: str, port: int, watch: Watch) -> socket.socket:
    """Within CONNECT_SECONDS in all, names and every address included. Raises OSError."""
    ends = time.monotonic() + min(CONNECT_SECONDS, watch.left())
    found = addresses(host, port, ends - time.monotonic())
    error: OSError = OSError("The name has no address.")
    for tried, (family, kind, protocol, _, address) in enumerate(found):
        left = ends - time.monotonic()
        if left <= 0:
            break
        sock = socket.socket(family, kind, protocol)
        try:
            # A first address that swallows everything leaves time for the second.
            sock.settimeout(left / (len(found) - tried))
            sock.connect(address)
        except OSError as failed:
            sock.close()
            error = failed
        else:
            return sock
    raise error


def addresses(host: str, port: int, seconds: float) -> list[Any]:
    """What `getaddrinfo` says; it has no timeout and can't be broken off, so it is left alone where
    it is slow. Raises OSError."""
    answers: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def look() -> None:
        try:
            answers.put(socket.getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM))
        except (OSError, UnicodeError) as failed:
            answers.put(failed)

    threading.Thread(target=look, daemon=True).start()
    try:
        answer = answers.get(timeout=seconds)
    except queue.Empty:
        raise TimeoutError("The name was not found in time.") from None
    if isinstance(answer, BaseException):
        raise OSError(f"The name was not found: {answer}") from answer
    return list(answer)
