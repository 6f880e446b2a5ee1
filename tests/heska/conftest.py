"""A small Heska on a socket of its own, that answers what a test scripts."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest


@dataclass
class Call:
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class FakeHeska:
    """`script` holds what is answered to the next calls of a path; then the last one again."""

    port: int = 0
    calls: list[Call] = field(default_factory=list)
    script: dict[str, list[Any]] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def on(self, path: str, *answers: Any) -> None:
        """An answer: (status, body, headers) or a function of the request handler."""
        self.script[path] = list(answers)

    def to(self, path: str) -> list[Call]:
        return [call for call in self.calls if call.path == path]

    def next(self, path: str) -> Any:
        answers = self.script.get(path) or [(404, {"message": "Resource not found"}, {})]
        return answers.pop(0) if len(answers) > 1 else answers[0]


@pytest.fixture
def fake_heska() -> Iterator[FakeHeska]:
    fake = FakeHeska()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            fake.calls.append(Call(self.path, dict(self.headers), body))
            answer = fake.next(self.path)
            if callable(answer):
                answer(self)
                return
            status, data, headers = answer
            raw = data if isinstance(data, bytes) else json.dumps(data).encode()
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)

        do_GET = do_POST

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    fake.port = server.server_port
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield fake
    server.shutdown()
    server.server_close()
    thread.join()


TOKEN = {"access_token": "jwt-1", "token_type": "Bearer", "expires_in": 3600}


@pytest.fixture
def connected(settings: Any, fake_heska: FakeHeska) -> Callable[[Any], None]:
    """Points the settings at the fake; call it with a clinic to connect that clinic."""
    from integrations.heska.connections import connect

    settings.HESKA_BASE_URL = fake_heska.url
    settings.HESKA_SUBSCRIPTION_KEY = "subscription-key-secret"
    settings.HESKA_ALLOW_INSECURE = True
    settings.PUBLIC_BASE_URL = "https://pims.example"
    fake_heska.on("/oauth/token", (200, TOKEN, {}))
    fake_heska.on("/labreports", (200, b"", {}))

    def connect_clinic(clinic: Any) -> None:
        connect(acting_user=None, clinic=clinic, client_id="c-id", client_secret="c-secret")

    return connect_clinic
