"""One installation to shoot at: web server, durable PostgreSQL, clinics, and tokens for each."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from pims import run
from tests import servers
from tests.faults.postgres import Postgres
from tests.faults.web import Web


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def receipt(self) -> str:
        """Empty where the answer names none."""
        try:
            found = json.loads(self.body)
        except ValueError:
            return ""
        return str(found.get("ReceiptId", "")) if isinstance(found, dict) else ""


@dataclass(repr=False)  # a failing test would print secrets, and pages of them
class Stack:
    env: dict[str, str]
    directory: Path
    port: int
    postgres: Postgres
    web: Web
    clinics: list[dict[str, Any]]
    tokens: list[str] = field(default_factory=list)

    def connect(self, patience: float = 20) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=patience)

    def post(
        self,
        target: str,
        body: bytes,
        *,
        clinic: int = 0,
        connection: http.client.HTTPConnection | None = None,
        headers: dict[str, str] | None = None,
        patience: float = 20,
    ) -> Answer:
        """As Heska would, with the token of that clinic. Raises OSError, HTTPException."""
        own = connection or self.connect(patience)
        sent = {
            "Authorization": f"Bearer {self.tokens[clinic]}",
            "Content-Type": "application/json",
        }
        try:
            own.request("POST", target, body, sent | (headers or {}))
            answer = own.getresponse()
            return Answer(answer.status, dict(answer.getheaders()), answer.read())
        finally:
            if connection is None:
                own.close()

    def fetch_tokens(self) -> None:
        self.tokens = []
        for clinic in self.clinics:
            connection = self.connect()
            form = {
                "grant_type": "client_credentials",
                "client_id": clinic["client_id"],
                "client_secret": clinic["client_secret"],
            }
            kind = {"Content-Type": "application/x-www-form-urlencoded"}
            connection.request("POST", "/api/oauth/token", urlencode(form), kind)
            self.tokens.append(json.loads(connection.getresponse().read())["access_token"])
            connection.close()

    def manage(self, *command: str) -> dict[str, Any]:
        """The answer of a management command. Raises CalledProcessError."""
        done = subprocess.run(
            [sys.executable, "manage.py", *command, "--json"],
            env=self.env,
            cwd=run.ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise AssertionError(f"{command} failed: {done.stdout}{done.stderr}")
        answer: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
        return answer

    def sweep(self) -> None:
        """What the scheduler does, until nothing is left that it would take up."""
        for _ in range(20):
            waiting = self.hurry()
            if not waiting:
                return
            self.manage("sweep")
        raise AssertionError(f"the sweep never ends:\n{self.web.tail()}")

    def hurry(self) -> int:
        """What waits for a sweep is due now, not in half a minute. How many that are."""
        return len(
            self.postgres.query(
                "UPDATE labs_message SET not_before = now() "
                "WHERE state = 'received' AND direction = 'in' AND parent_id IS NULL RETURNING id"
            )
        )

    def restart(self, *, application: str = "", **env: str) -> None:
        """The web server again, with more in its environment."""
        self.web.stop()
        self.web = web(self.port, self.env | env, self.directory, application=application)
        self.web.start()

    @property
    def failpoint(self) -> Path:
        """Write the name of a fail-point here: the next process to come by dies there."""
        return self.directory / "failpoint"

    def clear(self) -> None:
        """No messages and nothing made from them; clinics, requests and clients stay."""
        self.postgres.empty("labs_message", "labs_testrun", "labs_unmatchedresult", "labs_labevent")


def web(port: int, env: dict[str, str], directory: Path, *, application: str = "") -> Web:
    return Web(
        port,
        env,
        directory / "web.log",
        application=application or "pims.wsgi:application",
    )


@contextlib.contextmanager
def running(*, clinics: int = 4, requests: int = 12, **extra: str) -> Iterator[Stack]:
    """`requests` for each clinic. `extra`: environment of the web server."""
    directory = Path(tempfile.mkdtemp(prefix="pims-faults-"))
    outside = {
        name: value
        for name, value in os.environ.items()
        if name not in {"DATABASE_URL", "REDIS_URL", "FAILPOINT"}
    }
    with contextlib.ExitStack() as cleanup:
        cleanup.callback(shutil.rmtree, directory, ignore_errors=True)
        port = servers._free_port()
        env = outside | cleanup.enter_context(servers.running(redis=False, durable=True))
        env |= {
            "DJANGO_SETTINGS_MODULE": "pims.settings",
            "VAR_DIR": str(directory / "var"),
            "PORT": str(port),
            "PUBLIC_BASE_URL": f"http://localhost:{port}",
            "PYTHONUNBUFFERED": "1",
            "WEB_CONCURRENCY": "2",
            "FAILPOINT": str(directory / "failpoint"),
        } | extra
        (directory / "var").mkdir()
        postgres = Postgres(env["DATABASE_URL"])
        cleanup.callback(postgres.stop)
        # Tables and rows to begin with need not survive anything: 3 s instead of 20.
        postgres.configure("fsync", "off")
        made = subprocess.run(
            [sys.executable, "-m", "tests.faults.populate", str(clinics), str(requests)],
            env=env,
            cwd=run.ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        assert made.returncode == 0, made.stderr
        postgres.configure("fsync", None)
        stack = Stack(
            env=env,
            directory=directory,
            port=port,
            postgres=postgres,
            web=web(port, env, directory),
            clinics=json.loads(made.stdout),
        )
        cleanup.callback(lambda: stack.web.stop())
        stack.web.start()
        stack.fetch_tokens()
        yield stack
