"""The way to Django: few at once, and nobody waits for ever."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from typing import Any

import pytest

from pims.gate import fair_share, gated


def call(app: Any, path: str = "/api/labresults/key") -> tuple[str, dict[str, str], bytes]:
    said: list[Any] = []
    answer = app({"PATH_INFO": path}, lambda status, headers: said.append((status, dict(headers))))
    (status, headers) = said[0]
    return status, headers, b"".join(answer)


def hello(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"hello"]


def test_an_answer_passes() -> None:
    assert call(gated(hello)) == ("200 OK", {"Content-Type": "text/plain"}, b"hello")


def test_a_program_is_told_to_come_again() -> None:
    stuck = threading.Event()
    app = gated(lambda *_: stuck.wait(), patience=0.1)

    status, headers, body = call(app)

    stuck.set()
    assert (status, headers["Retry-After"]) == ("503 Service Unavailable", "30")
    assert b"send again" in body


def test_a_person_waits() -> None:
    def slow(*arguments: Any) -> Iterable[bytes]:
        time.sleep(0.3)
        return hello(*arguments)

    assert call(gated(slow, patience=0.1), "/requests/")[0] == "200 OK"


def test_no_more_than_so_many_at_once_and_those_who_gave_up_are_not_served_later() -> None:
    go = threading.Event()
    served: list[int] = []

    def stuck(*arguments: Any) -> Iterable[bytes]:
        served.append(1)
        go.wait()
        return hello(*arguments)

    app = gated(stuck, at_once=2, patience=0.2)
    callers = [threading.Thread(target=call, args=(app,)) for _ in range(5)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    go.set()
    time.sleep(0.1)

    assert len(served) == 2


@pytest.mark.parametrize(("processes", "threads"), [("", 24), ("1", 48), ("4", 12), ("40", 4)])
def test_connections_do_not_grow_with_processes(
    processes: str, threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WEB_CONCURRENCY", processes)

    assert fair_share() == threads
