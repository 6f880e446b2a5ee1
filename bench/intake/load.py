"""The sender, a process of its own: four connections kept alive, each one message after the other.

Reads a job as JSON from standard input and writes what came of it to standard output. Plain sockets
and ready-made bytes, so that it takes as little as it can of the machine that it measures.
"""

from __future__ import annotations

import json
import socket
import sys
import threading
import time
from collections import Counter
from dataclasses import asdict, dataclass
from typing import Any

from bench.intake import bodies

LENGTH = b"content-length:"


@dataclass(frozen=True, kw_only=True)
class Job:
    """Post `kind` to `port` from message `first` on (a multiple of the connections), for so many
    seconds or so many messages, whichever is sooner; at `rate` a second in all, or with 0 as fast
    as answers come."""

    port: int
    tokens: list[str]
    kind: str = "new"
    first: int = 0
    seconds: float = 1e9
    messages: int = 10**9
    rate: float = 0


class Sender(threading.Thread):
    """One connection. It sends the messages first + i, first + i + 4, ..."""

    def __init__(self, job: Job, connection: int, start: float) -> None:
        super().__init__()
        self.job, self.connection, self.begin = job, connection, start
        self.statuses: Counter[int] = Counter()
        self.latencies: list[float] = []
        self.next = job.first + connection
        self.error: BaseException | None = None

    def run(self) -> None:
        try:
            with socket.create_connection(("127.0.0.1", self.job.port), timeout=60) as sock:
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._send_all(sock)
        except (OSError, ValueError) as error:
            self.error = error

    def _send_all(self, sock: socket.socket) -> None:
        job, senders = self.job, len(self.job.tokens)
        template = bodies.request(job.kind, self.connection, job.tokens[self.connection])
        placeholder = bodies.NUMBER.encode()
        last = job.first + job.messages
        due = self.begin + (self.connection / job.rate if job.rate else 0)
        while (now := time.perf_counter()) < self.begin + job.seconds and self.next < last:
            if job.rate:
                # Late answers count from when the message was due, not from when it could go.
                time.sleep(max(0.0, due - now))
                now, due = due, due + senders / job.rate
            sock.sendall(template.replace(placeholder, b"%010d" % self.next))
            self.statuses[answer(sock)] += 1
            self.latencies.append(time.perf_counter() - now)
            self.next += senders


def answer(sock: socket.socket) -> int:
    """Read one answer to its end; its status."""
    data = sock.recv(65536)
    while b"\r\n\r\n" not in data:
        data += _more(sock)
    head, _, body = data.partition(b"\r\n\r\n")
    lower = head.lower()
    at = lower.index(LENGTH) + len(LENGTH)
    missing = int(lower[at:].split(b"\r\n", 1)[0]) - len(body)
    while missing > 0:
        missing -= len(_more(sock))
    return int(head[9:12])


def _more(sock: socket.socket) -> bytes:
    data = sock.recv(65536)
    if not data:
        raise ConnectionError("The server closed the connection.")
    return data


def run(job: Job) -> dict[str, Any]:
    start = time.perf_counter()
    senders = [Sender(job, number, start) for number in range(len(job.tokens))]
    for sender in senders:
        sender.start()
    for sender in senders:
        sender.join()
    for sender in senders:
        if sender.error is not None:
            raise SystemExit(f"{job.kind} to port {job.port}: {sender.error!r}")
    took = time.perf_counter() - start
    statuses: Counter[int] = sum((sender.statuses for sender in senders), Counter())
    latencies = sorted(each for sender in senders for each in sender.latencies)
    return {
        "answers": len(latencies),
        "statuses": dict(statuses),
        "a_second": len(latencies) / took,
        "latencies": [round(each * 1000, 2) for each in latencies],
        "next": max(sender.next for sender in senders) // len(senders) * len(senders)
        + len(senders),
    }


def as_json(job: Job) -> str:
    return json.dumps(asdict(job))


if __name__ == "__main__":
    json.dump(run(Job(**json.load(sys.stdin))), sys.stdout)
