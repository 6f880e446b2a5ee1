"""A real simulator and a small real PIMS, each on a socket of its own."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
import requests

from integrations.heska.simulator.script import read_script
from integrations.heska.simulator.server import Server


class Pims:
    """Gives tokens and takes results; `answers` are the statuses of the next results, then 201."""

    def __init__(self) -> None:
        self.answers: list[tuple[int, dict[str, str]]] = []
        self.received: list[tuple[str, bytes]] = []
        self.refused: list[int] = []
        self.tokens = 0
        self.good_token = ""
        pims = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if len(body) < int(self.headers["Content-Length"]):
                    self.close_connection = True  # broken off in the middle
                    return
                status, headers, data = pims.answer(self.path, dict(self.headers), body)
                reply = json.dumps(data).encode()
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(reply)))
                self.end_headers()
                self.wfile.write(reply)

            def log_message(self, format: str, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def answer(
        self, path: str, headers: dict[str, str], body: bytes
    ) -> tuple[int, dict[str, str], dict[str, Any]]:
        if path == "/api/oauth/token":
            assert b"client_id=in-42" in body
            assert b"client_secret=in-secret" in body
            self.tokens += 1
            self.good_token = f"token-{self.tokens}"
            return 200, {}, {"access_token": self.good_token, "expires_in": 3600}
        if headers.get("Authorization") != f"Bearer {self.good_token}":
            self.refused.append(401)
            return 401, {}, {}
        if self.answers:
            status, extra = self.answers.pop(0)
            self.refused.append(status)
            return status, extra, {}
        self.received.append((path, body))
        return 201, {}, {"ReceiptId": f"rcpt_{len(self.received)}", "Status": "Stored"}

    def messages(self) -> list[dict[str, Any]]:
        return [json.loads(body) for _, body in self.received]


class Heska:
    """The simulator as a PIMS sees it."""

    def __init__(self, pims: Pims, **changes: Any) -> None:
        script = {
            "subscription_key": "key-1",
            "seed": 7,
            "delay_seconds": [0, 0],
            "clinics": [
                {
                    "clinic_id": "clinic-0042",
                    "client_id": "out-42",
                    "client_secret": "out-secret",
                    "pims": {
                        "token_url": f"{pims.url}/api/oauth/token",
                        "client_id": "in-42",
                        "client_secret": "in-secret",
                        "unmatched_url": f"{pims.url}/api/unmatchedlabresults/clinic-0042",
                    },
                }
            ],
        }
        self.server = Server("127.0.0.1", 0, read_script(script | changes))
        self.url = self.server.url
        self.pims = pims
        self.session = requests.Session()
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def post(self, path: str, **kwargs: Any) -> requests.Response:
        headers = {"Ocp-Apim-Subscription-Key": "key-1"} | kwargs.pop("headers", {})
        return self.session.post(
            self.url + path, headers=headers, timeout=10, allow_redirects=False, **kwargs
        )

    def get(self, path: str) -> requests.Response:
        return self.session.get(self.url + path, timeout=10)

    def token(self) -> str:
        form = {
            "grant_type": "client_credentials",
            "client_id": "out-42",
            "client_secret": "out-secret",
        }
        return self.post("/oauth/token", data=form).json()["access_token"]

    def order(self, body: dict[str, Any]) -> requests.Response:
        return self.post(
            "/labreports", json=body, headers={"Authorization": f"Bearer {self.token()}"}
        )

    def simulate(self, what: str, **form: str) -> requests.Response:
        return self.post(f"/simulate/{what}", data=form, headers={"Accept": "application/json"})

    def state(self) -> dict[str, Any]:
        return self.get("/state").json()


@pytest.fixture
def pims() -> Iterator[Pims]:
    running = Pims()
    yield running
    running.server.shutdown()
    running.server.server_close()


@pytest.fixture
def heska(pims: Pims) -> Iterator[Heska]:
    running = Heska(pims)
    yield running
    running.server.shutdown()
    running.server.server_close()


@pytest.fixture
def wait_for() -> Callable[[Callable[[], Any]], Any]:
    """Wait until something is true, and give it back."""

    def wait(condition: Callable[[], Any]) -> Any:
        end = time.monotonic() + 10
        while time.monotonic() < end:
            found = condition()
            if found:
                return found
            time.sleep(0.01)
        raise AssertionError("it did not come true within 10 s")

    return wait


@pytest.fixture
def lab_report(pims: Pims) -> dict[str, Any]:
    """The contract's example 03, with the URL of the stand-in."""
    return {
        "LabReportId": "VL-3F7K2M9Q",
        "LabResultEndPoint": f"{pims.url}/api/labresults/k9d2c7e1f0a84bX5mQ2rTz",
        "ClinicId": "clinic-0042",
        "RequestedAt": "2026-03-02T09:14:05-07:00",
        "Patient": {"PatientId": "P-10482", "Name": "Biscuit", "Species": "CANINE", "Sex": "CM"},
        "Client": {"ClientId": "C-2207", "LastName": "Example"},
        "Doctor": {"DoctorId": "V-07", "LastName": "Sample"},
        "Tests": [
            {"TestRequestId": "VL-3F7K2M9Q-1", "TestCode": "HHEM-1", "TestName": "CBC"},
            {"TestRequestId": "VL-3F7K2M9Q-2", "TestCode": "HDC-3", "TestName": "Kidney Panel"},
        ],
    }
