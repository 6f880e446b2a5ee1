"""A line that is cut: a TCP proxy that ends connections where it hurts."""

from __future__ import annotations

import contextlib
import random
import socket
import struct
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

# Before anything of it has passed; in the middle of the request; after the request, so that nobody
# hears the answer; in the middle of the answer; and reset instead of closed.
WAYS = ("at once", "in the request", "after the request", "in the answer", "reset")


@dataclass
class Line:
    url: str
    share: float = 0.4
    cuts: int = 0


@contextlib.contextmanager
def cutting(to: str, *, seed: int) -> Iterator[Line]:
    """Cuts `share` of the connections."""
    chance, lock = random.Random(seed), threading.Lock()
    there = urlsplit(to)
    listener = socket.create_server(("127.0.0.1", 0), backlog=128)
    line = Line(url=f"http://127.0.0.1:{listener.getsockname()[1]}")

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                peer, _ = listener.accept()
                threading.Thread(target=serve, args=(peer,), daemon=True).start()

    def serve(peer: socket.socket) -> None:
        with lock:
            way = chance.choice(WAYS) if chance.random() < line.share else ""
            line.cuts += bool(way)
        with peer, contextlib.suppress(OSError):
            peer.settimeout(30)
            if way == "at once":
                return
            with socket.create_connection((there.hostname, there.port), timeout=30) as far:
                request = read(peer)
                if way == "in the request":
                    far.sendall(request[: len(request) // 2])
                    return
                far.sendall(request)
                answer = read(far)
                if way == "in the answer":
                    peer.sendall(answer[: len(answer) // 2])
                elif way == "reset":
                    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                elif not way:
                    peer.sendall(answer)

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield line
    finally:
        listener.close()


def read(peer: socket.socket) -> bytes:
    """One HTTP message with a Content-Length."""
    data = b""
    while b"\r\n\r\n" not in data:
        data += more(peer)
    head, _, body = data.partition(b"\r\n\r\n")
    lengths = [
        int(row.partition(b":")[2])
        for row in head.lower().split(b"\r\n")
        if row.startswith(b"content-length:")
    ]
    while len(body) < sum(lengths):
        body += more(peer)
    return head + b"\r\n\r\n" + body


def more(peer: socket.socket) -> bytes:
    data = peer.recv(65_536)
    if not data:
        raise OSError("The other side is gone.")
    return data
