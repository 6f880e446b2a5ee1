"""A small stand-in for Heska, written from the contract alone, with nothing of the project's."""

from __future__ import annotations

import json
import secrets
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs

Json = dict[str, Any]


@dataclass
class Heska:
    """Hands out tokens, takes lab reports, and remembers every call."""

    client_id: str = "6f1c0c7e-clinic-0042"
    client_secret: str = field(default_factory=lambda: secrets.token_urlsafe(24))
    subscription_key: str = field(default_factory=lambda: secrets.token_hex(16))
    token: str = field(default_factory=lambda: f"e30.{secrets.token_urlsafe(24)}.sig")
    orders: list[tuple[dict[str, str], Json]] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        handler = type("Handler", (_Handler,), {"heska": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def answer(self, path: str, headers: dict[str, str], body: bytes) -> tuple[int, Json]:
        if headers.get("ocp-apim-subscription-key") != self.subscription_key:
            return 401, {"statusCode": 401, "message": "Access denied: subscription key."}
        if path == "/oauth/token":
            form = {name: values[0] for name, values in parse_qs(body.decode()).items()}
            wanted = {
                "grant_type": "client_credentials",
                "client_id": self.client_id,
                "client_secret": self.client_secret,
            }
            if form != wanted:
                return 401, {"message": "Invalid User or Password"}
            return 200, {"access_token": self.token, "token_type": "Bearer", "expires_in": 3600}
        if path == "/labreports":
            if headers.get("authorization") != f"Bearer {self.token}":
                return 401, {"message": "Access token is missing."}
            order = json.loads(body)
            self.orders.append((headers, order))
            return 202, {
                "LabReportId": order["LabReportId"],
                "HeskaReportId": "94877",
                "Status": "Accepted",
            }
        return 404, {"statusCode": 404, "message": "Resource not found"}


class _Handler(BaseHTTPRequestHandler):
    heska: Heska

    def do_POST(self) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        body = self.rfile.read(int(headers.get("content-length", 0)))
        status, answer = self.heska.answer(self.path, headers, body)
        if status >= 400:
            self.heska.refused.append(f"{self.path}: {answer}")
        said = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(said)))
        self.end_headers()
        self.wfile.write(said)

    def log_message(self, *_: object) -> None:
        """Silent."""
