"""An installation as an operator has it: `serve` in a process of its own, and its commands."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit, urlunsplit

import psycopg
from psycopg import sql

ROOT = Path(__file__).resolve().parents[2]
# For a machine that is busy with the rest of the suite; how fast a start and a stop must be is
# measured where nothing else runs.
PATIENCE = 120.0
Json = dict[str, Any]


@dataclass
class Installation:
    env: dict[str, str]
    url: str

    def run(self, *args: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "manage.py", *args],
            cwd=ROOT,
            env=self.env,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )

    def lines(self, *args: str, stdin: str = "") -> list[Json]:
        done = self.run(*args, "--json", stdin=stdin)
        assert done.returncode == 0, done.stderr
        return [json.loads(line) for line in done.stdout.splitlines()]

    def answer(self, *args: str, stdin: str = "") -> Json:
        (only,) = self.lines(*args, stdin=stdin)
        return only


@contextlib.contextmanager
def installation(var_dir: Path, **settings: str) -> Iterator[Installation]:
    """Migrated and serving, on a free port, for a `with` block; afterwards it stops by itself, on
    a Ctrl-C. With DATABASE_URL and REDIS_URL in the environment it uses those servers, in
    a database of its own; else SQLite and files under `var_dir`."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    with database_url() as database:
        env = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("HESKA_", "PYTEST_", "DJANGO_"))
        }
        env |= {
            "VAR_DIR": str(var_dir),
            "PORT": str(port),
            "PUBLIC_BASE_URL": url,
            "HESKA_ALLOW_INSECURE": "1",
            "DJANGO_SETTINGS_MODULE": "pims.settings",
            **settings,
        }
        if database:
            env["DATABASE_URL"] = database
            # On the loopback, beside a laboratory that speaks HTTP, on a server that does not sync.
            env.setdefault("SILENCED_SYSTEM_CHECKS", "pims.E002,pims.E003,pims.E015")
            # Another number than the suite's: its workers must not take our messages.
            env["REDIS_URL"] = urlunsplit(urlsplit(env["REDIS_URL"])._replace(path="/7"))
        log = (var_dir / "serve.log").open("w+")
        serve = subprocess.Popen(
            [sys.executable, "-m", "pims.run", "serve"],
            cwd=ROOT,
            env=env,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            until(lambda: serve.poll() is not None or is_ready(url), "the web server")
            assert serve.poll() is None, (var_dir / "serve.log").read_text()
            yield Installation(env, url)
        finally:
            serve.send_signal(signal.SIGINT)
            try:
                serve.wait(PATIENCE)
            finally:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(serve.pid, signal.SIGKILL)
                log.close()


@contextlib.contextmanager
def database_url() -> Iterator[str]:
    """A new database on the server that DATABASE_URL names; empty where it names no PostgreSQL."""
    given = urlsplit(os.environ.get("DATABASE_URL", ""))
    if not given.scheme.startswith("postgres"):
        yield ""
        return
    name = sql.Identifier(f"blackbox_{secrets.token_hex(4)}")
    with psycopg.connect(urlunsplit(given), autocommit=True) as server:
        server.execute(sql.SQL("CREATE DATABASE {}").format(name))
        try:
            yield urlunsplit(given._replace(path=f"/{name.as_string(None).strip(chr(34))}"))
        finally:
            server.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(name))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def is_ready(url: str) -> bool:
    try:
        return post_or_get(f"{url}/readyz")[0] == 200
    except OSError:
        return False


def until(ready: Callable[[], Any], what: str, patience: float = PATIENCE) -> Any:
    deadline = time.monotonic() + patience
    while not (found := ready()):
        assert time.monotonic() < deadline, f"waited {patience:.0f} s for {what}"
        time.sleep(0.2)
    return found


def post_or_get(
    url: str,
    body: bytes | None = None,
    *,
    kind: str = "application/json",
    token: str = "",
) -> tuple[int, Json]:
    request = urllib.request.Request(url, data=body)
    if body is not None:
        request.add_header("Content-Type", kind)
    if token:
        request.add_header("Authorization", f"Bearer {token}")
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE) as response:
            return response.status, json.loads(response.read() or b"{}")
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read() or b"{}")


def get_token(access: Json) -> str:
    """As Heska does it: the client credentials that `connect_heska` printed, as a form."""
    form = {"grant_type": "client_credentials"}
    form |= {name: access[name] for name in ("client_id", "client_secret")}
    status, answer = post_or_get(
        access["token_url"],
        urlencode(form).encode(),
        kind="application/x-www-form-urlencoded",
    )
    assert status == 200, answer
    token: str = answer["access_token"]
    return token
