"""The sockets: reads a request, has it answered, and writes the answer."""

from __future__ import annotations

import errno
import functools
import io
import json
import logging
import signal
import socket
import ssl
import sys
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from . import spoil
from .analyzers import Dcu
from .cloud import Cloud
from .courier import Courier
from .entries import ScriptError
from .exchange import Answer, Request, json_answer
from .faults import Faults
from .routes import App, answer_or_fault
from .rules import Event, Rule
from .script import Script, empty_script, load_script

if TYPE_CHECKING:
    from .certificates import Certificates

logger = logging.getLogger(__name__)

BODY_LIMIT = 256 * 1024


class Server(ThreadingHTTPServer):
    """A thread for each connection, none of which holds up the end."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, host: str, port: int, script: Script) -> None:
        """Listen at once; raises OSError where that cannot be."""
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        super().__init__((host, port), Handler)
        cloud = Cloud(script)
        faults = Faults(script.faults)
        courier = Courier(cloud, faults)
        self.app = App(cloud, courier, Dcu(cloud, courier), faults, _certificates(host))

    def server_bind(self) -> None:
        """Bind without asking the name service for this machine's name."""
        socket.socket.setsockopt(self.socket, socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = self.socket.getsockname()[:2]

    def server_close(self) -> None:
        """Close the socket and let the workers go."""
        super().server_close()
        if hasattr(self, "app"):  # not where listening failed
            self.app.dcu.close()
            self.app.courier.close()

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that went away is no error."""
        logger.info("connection of %s ended: %s", client_address, sys.exc_info()[1])

    @property
    def url(self) -> str:
        """Where a PIMS finds this server."""
        host = f"[{self.server_name}]" if ":" in self.server_name else self.server_name
        return f"http://{host}:{self.server_port}"

    @property
    def tls_url(self) -> str:
        """The same over TLS."""
        return self.url.replace("http", "https", 1)


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    server_version = "HeskaSimulator"
    sys_version = ""
    timeout = 30
    disable_nagle_algorithm = True
    server: Server

    def setup(self) -> None:
        """The port speaks plain HTTP and TLS: the first byte tells which (22 is a handshake)."""
        self.request.settimeout(self.timeout)
        if self.request.recv(1, socket.MSG_PEEK) == b"\x16":
            rule = self.server.app.faults.choose(Event("connection"))
            kind = rule.options["kind"] if rule else "private"
            context = self.server.app.certificates().context(kind)
            self.request = context.wrap_socket(self.request, server_side=True)
        super().setup()

    def finish(self) -> None:
        """Close here what TLS has wrapped: the server knows only the socket inside."""
        super().finish()
        if isinstance(self.request, ssl.SSLSocket):
            self.request.close()

    def do_POST(self) -> None:
        self._serve()

    def do_GET(self) -> None:
        self._serve()

    def do_HEAD(self) -> None:
        self._serve()

    def _serve(self) -> None:
        length = self.headers.get("Content-Length", "0")
        if "Transfer-Encoding" in self.headers or not length.isdecimal():
            self.close_connection = True
            self.reply(json_answer(411, {"statusCode": 411, "message": "Length Required"}))
            return
        if int(length) > BODY_LIMIT:
            self.close_connection = True
            self.reply(json_answer(413, {"statusCode": 413, "message": "Request body too large"}))
            return
        parts = urlsplit(self.path)
        request = Request(
            method=self.command,
            path=parts.path,
            headers={name.lower(): value for name, value in self.headers.items()},
            body=self.rfile.read(int(length)),
            query=parts.query,
        )
        if len(request.body) == int(length):  # else the client left in the middle
            self.reply(*answer_or_fault(self.server.app, request))

    def reply(self, ready: Answer, rule: Rule | None = None) -> None:
        """Write an answer: every one passes here, so this is where a fault can act on it."""
        if rule is None or rule.do not in spoil.SPOILT:
            self._write(ready)
            return
        wire, self.wfile = self.wfile, io.BytesIO()
        self._write(ready)
        whole, self.wfile = self.wfile.getvalue(), wire
        head = len(whole) - len(ready.body)
        if not spoil.send(rule, self.connection, wire, whole[:head], whole[head:]):
            self.close_connection = True
            if rule.do == "reset":
                self._close_now()

    def _close_now(self) -> None:
        """Close before the server can: it would say goodbye first, and that is no reset."""
        spoil.reset(self.connection)
        for each in (self.rfile, self.wfile, self.connection):
            each.close()
        self.wfile = io.BytesIO()

    def _write(self, ready: Answer) -> None:
        self.send_response(ready.status)
        self.send_header("Content-Type", ready.content_type)
        self.send_header("Content-Length", str(len(ready.body)))
        self.send_header("X-Content-Type-Options", "nosniff")
        for name, value in ready.headers:
            self.send_header(name, value)
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(ready.body)

    def log_message(self, format: str, *args: object) -> None:
        """Requests are logged by what they do, not line by line."""


def run(
    *, port: int, host: str = "127.0.0.1", script: str | None = None, as_json: bool = False
) -> int:
    """Serve until SIGTERM or SIGINT; the exit status: 0, 1 cannot listen, 2 the script is wrong."""
    logging.basicConfig(level=logging.INFO, format="simulator: %(message)s", stream=sys.stderr)
    try:
        loaded = load_script(Path(script)) if script else empty_script()
    except ScriptError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    try:
        server = Server(host, port, loaded)
    except OSError as error:
        sys.stderr.write(_cannot_listen(host, port, error))
        return 1
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    threading.Thread(target=server.serve_forever, name="server", daemon=True).start()
    sys.stdout.write(_started(server, as_json))
    sys.stdout.flush()
    ended.wait()
    server.shutdown()
    server.server_close()
    return 0


def _certificates(host: str) -> Callable[[], Certificates]:
    """Made at the first call: most who run this speak plain HTTP and need no `cryptography`."""

    lock = threading.Lock()

    @functools.cache
    def make() -> Certificates:
        from .certificates import Certificates

        return Certificates(host)

    def one() -> Certificates:
        with lock:  # of two first connections one makes the authority, and both have that one
            return make()

    return one


def _started(server: Server, as_json: bool) -> str:
    """What a person, or with --json a program, needs to call this server."""
    script = server.app.cloud.script
    if not as_json:
        # A key that the script gave is known already, and this may go to a log.
        key = f"Subscription key: {script.subscription_key}\n" if script.key_is_new else ""
        return f"Heska simulator: {server.url}\n{key}"
    told = {
        "base_url": server.url,
        "tls_base_url": server.tls_url,
        "token_path": "/oauth/token",
        "submit_path": "/labreports",
        "authority_url": f"{server.url}/authority.pem",
        "state_url": f"{server.url}/state",
        "subscription_key": script.subscription_key,
        "clinics": [
            {
                "clinic_id": clinic.clinic_id,
                "client_id": clinic.client_id,
                "client_secret": clinic.client_secret,
            }
            for clinic in script.clinics
        ],
        "faults": len(script.faults),
    }
    return json.dumps(told) + "\n"


def _cannot_listen(host: str, port: int, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"Port {port} on {host} is already in use; choose another with --port.\n"
    return f"Cannot listen on {host}, port {port}: {error.strerror}.\n"
