"""A laboratory that keeps count: what was asked of it, by its own books. Standard library only; it
knows nothing of the application and shares none of its mistakes."""

from __future__ import annotations

import contextlib
import hashlib
import json
import socket
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs


@dataclass
class Books:
    """By LabReportId: how often it was called for, the different bodies, what was answered."""

    calls: Counter[str] = field(default_factory=Counter)
    bodies: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    keys: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    accepted: dict[str, str] = field(default_factory=dict)
    tokens: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    # The next so many orders are answered with this status, and not taken.
    unwell: int = 0
    status: int = 503
    # An order waits for its answer until this is set; the first one only.
    hold: threading.Event | None = None
    holding: threading.Event = field(default_factory=threading.Event)
    seconds: float = 0.0
    # Of one test: what came before it was opened, from a worker that is dead by now, is not in it.
    page: object = field(default_factory=object)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def clear(self) -> None:
        """A new page, for a new test."""
        with self.lock:
            for name, value in vars(Books()).items():
                if name != "lock":
                    setattr(self, name, value)


@contextlib.contextmanager
def open_() -> Iterator[tuple[str, Books]]:
    """Its address and its books."""
    books = Books()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = 60

        def do_POST(self) -> None:
            raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if len(raw) < int(self.headers.get("Content-Length") or 0):
                return  # cut on its way to us: never asked
            status, body = (token if self.path == "/oauth/token" else order)(self, raw)
            data = json.dumps(body).encode()
            with contextlib.suppress(OSError):
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

        def log_message(self, format: str, *args: object) -> None:
            pass

    def token(handler: Any, raw: bytes) -> tuple[int, Any]:
        client = parse_qs(raw.decode())["client_id"][0]
        with books.lock:
            books.tokens[client] += 1
        return 200, {"access_token": f"token-of-{client}", "expires_in": 3600}

    def order(handler: Any, raw: bytes) -> tuple[int, Any]:
        asked = json.loads(raw)
        name = asked["LabReportId"]
        page = books.page
        time.sleep(books.seconds)
        with books.lock:
            if books.page is not page:
                return 503, {"ErrorMessage": "Too late"}
            books.calls[name] += 1
            if books.unwell > 0:
                books.unwell -= 1
                return books.status, {"ErrorMessage": "Not now"}
            books.bodies[name].add(hashlib.sha256(raw).hexdigest())
            books.keys[name].add(handler.headers.get("Idempotency-Key", ""))
            bearer = handler.headers["Authorization"]
            if not bearer.endswith(asked["ClinicId"]):
                books.wrong.append(f"clinic: {name} of {asked['ClinicId']} with {bearer}")
            known = books.accepted.get(name)
            if known is None:
                books.accepted[name] = f"H-{len(books.accepted) + 1}"
            hold, books.hold = books.hold, None
        if hold is not None:
            books.holding.set()
            hold.wait(300)
        if known is not None:
            return 409, {"Code": "DUPLICATE_LAB_REPORT", "HeskaReportId": known}
        return 201, {"LabReportId": name, "HeskaReportId": books.accepted[name]}

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 128

        def handle_error(self, *_: object) -> None:
            """Callers that are killed break off."""

    server = Server(("127.0.0.1", 0), Handler)
    server.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", books
    finally:
        server.shutdown()
        server.server_close()


def judge(books: Books, ids: list[str], rows: list[tuple[str, str, str]]) -> list[str]:
    """All that is not as it must be. `rows`: id, state and the laboratory's id, as the application
    has them in the end."""
    found = list(books.wrong)
    found += [f"strange: {name} was never placed" for name in books.calls.keys() - set(ids)]
    for name in ids:
        if name not in books.accepted:
            found.append(f"lost: {name} never arrived")
        if len(books.bodies[name]) > 1:
            found.append(f"different: {name} was sent as {len(books.bodies[name])} orders")
        if books.keys[name] - {name}:
            found.append(f"key: {name} was sent under {books.keys[name]}")
    for name, state, external_id in rows:
        if state != "accepted":
            found.append(f"stuck: {name} is {state}")
        elif external_id and external_id != books.accepted.get(name):
            found.append(f"receipt: {name} has {external_id}, not {books.accepted.get(name)}")
    if sorted(name for name, _, _ in rows) != sorted(ids):
        found.append("rows: not one for each order that was placed")
    return found


def sent_twice(books: Books) -> list[str]:
    """Where nothing went wrong, each is asked for once."""
    return [
        f"twice: {name} was sent {count} times" for name, count in books.calls.items() if count > 1
    ]
