"""The sockets: reads a request, has it answered, and writes the answer."""

from __future__ import annotations

import errno
import logging
import signal
import socket
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

from .analyzers import Dcu
from .cloud import Cloud
from .courier import Courier
from .exchange import Answer, Request, json_answer
from .routes import App, answer
from .script import Script, ScriptError, empty_script, load_script

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
        courier = Courier(cloud)
        self.app = App(cloud, courier, Dcu(cloud, courier))

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


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    server_version = "HeskaSimulator"
    sys_version = ""
    timeout = 30
    disable_nagle_algorithm = True
    server: Server

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
            self.reply(answer(self.server.app, request))

    def reply(self, ready: Answer) -> None:
        """Write an answer: every one passes here, so this is where a fault can act on it."""
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


def run(*, port: int, host: str = "127.0.0.1", script: str | None = None) -> int:
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
    sys.stdout.write(f"Heska simulator: {server.url}\n")
    if script is None:
        sys.stdout.write(f"Subscription key: {loaded.subscription_key}\n")
    sys.stdout.flush()
    ended.wait()
    server.shutdown()
    server.server_close()
    return 0


def _cannot_listen(host: str, port: int, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"Port {port} on {host} is already in use; choose another with --port.\n"
    return f"Cannot listen on {host}, port {port}: {error.strerror}.\n"
