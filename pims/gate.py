"""So many requests at once as there are database connections for, and an end to waiting.

The web server has hundreds of threads, because a slow client keeps one. Each that once came as far
as Django would keep a database connection too, and 100 is all that PostgreSQL gives by default. So
Django itself runs on a few threads of its own.

A frozen PostgreSQL (a stopped machine, a hung disk) answers neither yes nor no, and none of the
client library's limits ends that: measured, a request waits as long as the freeze lasts. Where a
sender waits, we give up first: 503, and the connection is shut so that its thread is free again.
"""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as TooLate
from typing import Any

from django.db import connections

from pims.buffering import Environ, StartResponse, WSGIApp, plain
from pims.problems import TRY_LATER, problem

log = logging.getLogger(__name__)

# In all web processes together; with the worker and a shell it stays well below 100 connections.
TOGETHER = 48
PATIENCE = 4.5  # seconds; Heska must have its answer within 5
HURRIED = ("/api/", "/readyz")  # where a program waits for the answer, not a person


class Call:
    """One request on its way through Django."""

    def __init__(self, app: WSGIApp, environ: Environ) -> None:
        self._app, self._environ = app, environ
        self._lock = threading.Lock()
        self._done = False
        self._databases: Sequence[Any] = ()
        self.head: tuple[Any, ...] = ()

    def __call__(self) -> Iterable[bytes]:
        self._databases = connections.all()  # this thread's own, connected or not
        try:
            return self._app(self._environ, self._start_response)
        finally:
            with self._lock:
                self._done = True

    def _start_response(self, *head: Any) -> Callable[[bytes], None]:
        self.head = head
        return _no_write

    def give_up(self) -> None:
        """Shut the sockets that its thread waits on, unless it has just come through."""
        with self._lock:
            if self._done:
                return
            for database in self._databases:
                driver = getattr(database, "connection", None)
                number = getattr(getattr(driver, "pgconn", None), "socket", -1)
                if number >= 0:
                    # A second handle, so that the driver's own stays the driver's to close.
                    with contextlib.suppress(OSError), socket.socket(fileno=os.dup(number)) as wire:
                        wire.shutdown(socket.SHUT_RDWR)


def fair_share() -> int:
    """Threads for this web process, by how many of them `pims.run` starts."""
    processes = int(os.environ.get("WEB_CONCURRENCY") or 2)
    return max(4, TOGETHER // processes)


def gated(app: WSGIApp, *, at_once: int = 0, patience: float = PATIENCE) -> WSGIApp:
    """`app` on at most `at_once` threads (0: a fair share); 503 after `patience` seconds where a
    program waits."""
    at_once = at_once or fair_share()
    threads = ThreadPoolExecutor(at_once, thread_name_prefix="django")

    def application(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        call = Call(app, environ)
        running = threads.submit(call)
        hurried = str(environ.get("PATH_INFO", "")).startswith(HURRIED)
        try:
            answer = running.result(patience if hurried else None)
        except TooLate:
            if not running.cancel():
                call.give_up()
            log.error("No answer within %s s, so none was waited for", patience)
            return plain(
                problem(503, "Not stored; send again", code="try-later", headers=TRY_LATER),
                start_response,
            )
        start_response(*call.head)
        return answer

    return application


def _no_write(data: bytes) -> None:
    raise NotImplementedError("Django never uses WSGI's write().")
