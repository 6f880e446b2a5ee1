"""The documented proxy (deploy/nginx.conf) in front of the web server: no request rides in on
another one, and whoever sends slowly is the proxy's to bear."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from pims import run
from tests import servers
from tests.faults.oracle import Sent
from tests.faults.stack import Stack
from tests.faults.test_database import message

NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
pytestmark = pytest.mark.skipif(NGINX is None, reason="no nginx on this machine")
NAME = "lab.example.org"
STORED = {b"201", b"202"}  # 202: filed a little later, where this machine is busy


@pytest.fixture
def proxy(stack: Stack, tmp_path: Path) -> Iterator[int]:
    """Its port, before the installation."""
    with proxying(stack.port, tmp_path) as port:
        yield port


@contextlib.contextmanager
def proxying(upstream: int, tmp_path: Path) -> Iterator[int]:
    """The file as it stands in the repository; only places and ports are others."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, NAME)])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name)
    builder = builder.public_key(key.public_key()).serial_number(1)
    builder = builder.not_valid_before(now - timedelta(1)).not_valid_after(now + timedelta(1))
    made = builder.sign(key, hashes.SHA256())
    (tmp_path / "cert").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    (tmp_path / "key").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    port = servers._free_port()
    server = (run.ROOT / "deploy" / "nginx.conf").read_text()
    for documented, here in (
        ("listen 443", f"listen 127.0.0.1:{port}"),
        ("/etc/ssl/lab.example.org.pem", str(tmp_path / "cert")),
        ("/etc/ssl/private/lab.example.org.key", str(tmp_path / "key")),
        ("http://127.0.0.1:8000", f"http://127.0.0.1:{upstream}"),
        # What the installation of these tests is reached by.
        ("Host $host", f"Host 127.0.0.1:{upstream}"),
    ):
        assert documented in server
        server = server.replace(documented, here)
    folders = "".join(
        f"{kind}_temp_path {tmp_path}/{kind};"
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    user = "user root;" if os.geteuid() == 0 else ""
    (tmp_path / "conf").write_text(
        f"{user} daemon off; pid {tmp_path}/pid; error_log {tmp_path}/error; "
        f"events {{}} http {{ access_log off; {folders} {server} }}"
    )
    command = [str(NGINX), "-c", str(tmp_path / "conf"), "-e", str(tmp_path / "error")]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            deadline = time.monotonic() + 15
            while True:
                with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
                    break
                assert time.monotonic() < deadline, (tmp_path / "error").read_text()
                time.sleep(0.05)
            yield port
        finally:
            process.terminate()


@contextlib.contextmanager
def connected(port: int) -> Iterator[ssl.SSLSocket]:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with (
        socket.create_connection(("127.0.0.1", port), timeout=20) as plain,
        context.wrap_socket(plain, server_hostname=NAME) as made,
    ):
        yield made


def request(stack: Stack, sent: Sent, *lines: str, length: bool = True) -> bytes:
    """One that the application would store, if it saw it."""
    head = [
        f"POST {sent.target} HTTP/1.1",
        f"Host: {NAME}",
        f"Authorization: Bearer {stack.tokens[0]}",
        "Content-Type: application/json",
        *([f"Content-Length: {len(sent.body)}"] if length else []),
        *lines,
    ]
    return "\r\n".join([*head, "", ""]).encode() + sent.body


def said(port: int, raw: bytes, *, patience: float = 3) -> list[bytes]:
    """The status of each answer to those bytes."""
    found = b""
    with connected(port) as connection:
        connection.sendall(raw)
        connection.settimeout(patience)
        with contextlib.suppress(TimeoutError, ConnectionError, ssl.SSLError):
            while piece := connection.recv(65_536):
                found += piece
    return re.findall(rb"HTTP/1\.[01] (\d{3})", found)


def kept(stack: Stack, sent: Sent) -> int:
    [(count,)] = stack.postgres.query(
        "SELECT count(*) FROM labs_message WHERE sha256 = %s", sent.sha256
    )
    return int(count)


OUTER = "GET /healthz HTTP/1.1\r\nHost: lab.example.org\r\n"
# Two ways to say where a request ends: what the one takes for a body, the other may take for the
# next request.
AMBIGUOUS = {
    "length and chunked": "Content-Length: {length}\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunked and length": "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n",
    "chunked, spelled otherwise": "Content-Length: {length}\r\nTransfer-Encoding: xchunked\r\n\r\n",
    "chunked after a tab": (
        "Content-Length: {length}\r\nTransfer-Encoding:\tchunked\r\n\r\n0\r\n\r\n"
    ),
    "chunked before a colon's space": (
        "Content-Length: {length}\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n"
    ),
    "chunked twice": (
        "Content-Length: {length}\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: identity"
        "\r\n\r\n0\r\n\r\n"
    ),
    "two lengths": "Content-Length: 0\r\nContent-Length: {length}\r\n\r\n",
    "two lengths in one": "Content-Length: 0, {length}\r\n\r\n",
    "a length with a sign": "Content-Length: +{length}\r\n\r\n",
    "a length with an underscore": "Content-Length: 0_{length}\r\n\r\n",
    "a length in a folded line": "X: 1\r\n Content-Length: 0\r\nContent-Length: {length}\r\n\r\n",
    "a line that ends in LF alone": (
        "X: 1\nContent-Length: {length}\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    ),
    "a carriage return in a value": (
        "X: 1\rTransfer-Encoding: chunked\r\nContent-Length: {length}\r\n\r\n"
    ),
    "a body to a GET": "Content-Length: {length}\r\n\r\n",
}


def test_a_request_after_another_is_seen(stack: Stack, proxy: int) -> None:
    """What the next test looks for would be found: two requests on one connection are two."""
    first, second = message(stack, "pipelined", 1), message(stack, "pipelined", 2)

    found = said(proxy, request(stack, first) + request(stack, second, "Connection: close"))

    assert len(found) == 2
    assert STORED.issuperset(found)
    assert kept(stack, first) == kept(stack, second) == 1


@pytest.mark.parametrize("how", AMBIGUOUS)
def test_no_request_rides_in_on_another(stack: Stack, proxy: int, how: str) -> None:
    hidden = message(stack, f"hidden in {how}")
    inner = request(stack, hidden)
    outer = OUTER + AMBIGUOUS[how].replace("{length}", str(len(inner)))

    found = said(proxy, outer.encode() + inner)

    # Either it is one request with a body, or it is refused, or both see two: then the second came
    # with its own token, and each got its own answer.
    assert len(found) == 1 + kept(stack, hidden), found
    after = request(stack, message(stack, f"after {how}"), "Connection: close")
    assert STORED.issuperset(said(proxy, after))


def test_the_application_hears_what_the_proxy_saw(tmp_path: Path) -> None:
    """And not what the sender made up of where it comes from, by what it came and how it ends."""
    seen: list[Message] = []

    class Upstream(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            seen.append(self.headers)
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    made_up = [f"X-Forwarded-{what}: 203.0.113.9" for what in ("For", "Proto")]
    made_up += [
        "X_Forwarded_For: 203.0.113.9",
        "Transfer-Encoding: chunked",
        "Host: lab.example.org",
    ]
    chunked = ["POST / HTTP/1.1", *made_up, "", "3", "abc", "0", "", ""]
    with ThreadingHTTPServer(("127.0.0.1", 0), Upstream) as upstream:
        threading.Thread(target=upstream.serve_forever, daemon=True).start()
        with proxying(upstream.server_port, tmp_path) as port:
            assert said(port, "\r\n".join(chunked).encode()) == [b"204"]
        upstream.shutdown()

    [headers] = seen
    assert "203.0.113.9" not in str(headers)
    assert headers["X-Forwarded-For"] == "127.0.0.1"
    assert headers["X-Forwarded-Proto"] == "https"
    assert headers["Connection"] == "close"
    assert (headers["Content-Length"], headers["Transfer-Encoding"]) == ("3", None)


def test_slow_senders_wait_at_the_proxy(stack: Stack, proxy: int) -> None:
    """200 that stop in the middle of a header or of a body: a good one beside them is served, and
    none of theirs reaches the application."""
    slow = message(stack, "slow")
    whole = request(stack, slow)
    with contextlib.ExitStack() as opened:
        for number in range(200):
            connection = opened.enter_context(connected(proxy))
            connection.sendall(whole[: 60 if number % 2 else len(whole) - 20])
        began = time.monotonic()
        assert STORED.issuperset(
            said(proxy, request(stack, message(stack, "good"), "Connection: close"))
        )
        assert time.monotonic() - began < 8
        [(connections,)] = stack.postgres.query(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
        )
        assert connections < 20
    assert kept(stack, slow) == 0
