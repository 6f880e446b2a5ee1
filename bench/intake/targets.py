"""The five servers under test, started as `pims.run` starts the application's own."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.intake import load, processes
from pims import run
from tests.servers import _free_port


@dataclass(frozen=True, kw_only=True)
class Target:
    letter: str
    words: str
    application: str
    env: dict[str, str]


DRF = {"DJANGO_SETTINGS_MODULE": "bench.intake.drf.settings"}
TARGETS = (
    Target(
        letter="a",
        words="this project",
        application="pims.wsgi:application",
        env={"DJANGO_SETTINGS_MODULE": "pims.settings"},
    ),
    Target(
        letter="b",
        words="DRF, create in a loop, no journal",
        application="bench.intake.drf.wsgi:application",
        env={**DRF, "BENCH_STORE": "loop"},
    ),
    Target(
        letter="c",
        words="DRF, bulk_create, no journal",
        application="bench.intake.drf.wsgi:application",
        env={**DRF, "BENCH_STORE": "bulk"},
    ),
    Target(
        letter="d",
        words="the limit: bare WSGI, one commit",
        application="bench.intake.limit:application",
        env={},
    ),
    Target(
        letter="e",
        words="all that the contract asks, bare",
        application="bench.intake.contract:application",
        env={},
    ),
)


@dataclass(kw_only=True)
class Server:
    """A running target. `next` is the number of the first message that it has not had."""

    target: Target
    port: int
    process: subprocess.Popen[bytes]
    postmaster: int
    next: int = 0

    def load(self, tokens: list[str], **job: Any) -> dict[str, Any]:
        """Run one job of the sender against it; `first` is where it was left, unless given."""
        job.setdefault("first", self.next)
        made = load.Job(port=self.port, tokens=tokens, **job)
        before = self.processor_seconds()
        sent = subprocess.run(
            [sys.executable, "-m", "bench.intake.load"],
            input=load.as_json(made),
            capture_output=True,
            text=True,
        )
        if sent.returncode:
            raise SystemExit(f"({self.target.letter}) {sent.stderr.strip()}")
        outcome: dict[str, Any] = json.loads(sent.stdout)
        outcome["cpu_ms"] = [
            (after - start) * 1000 / outcome["answers"]
            for start, after in zip(before, self.processor_seconds(), strict=True)
        ]
        if made.kind == "new":
            self.next = max(self.next, outcome["next"])
        return outcome

    def processor_seconds(self) -> tuple[float, float]:
        """What its workers, and PostgreSQL, have used of the processors so far."""
        return processes.seconds(self.process.pid), processes.seconds(self.postmaster)

    def token(self, access: dict[str, str]) -> str:
        """An access token for a client, from this server's own door."""
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/api/oauth/token",
            data=json.dumps({"grant_type": "client_credentials", **access}).encode(),
            headers={"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=30) as response:
            return str(json.load(response)["access_token"])

    def worker_megabytes(self) -> float:
        """Resident memory of its largest worker process."""
        return max(processes.resident(pid) for pid in processes.children(self.process.pid))


@contextlib.contextmanager
def serving(
    env: dict[str, str], directory: Path, workers: int, letters: str
) -> Iterator[dict[str, Server]]:
    """Servers by letter, ready, each with its log in the directory."""
    with contextlib.ExitStack() as stack:
        yield {
            target.letter: stack.enter_context(_serve(target, env, directory, workers))
            for target in TARGETS
            if target.letter in letters
        }


@contextlib.contextmanager
def _serve(target: Target, env: dict[str, str], directory: Path, workers: int) -> Iterator[Server]:
    port = _free_port()
    command = [*run.granian("127.0.0.1", port, str(workers))[:-1], target.application]
    with (
        (directory / f"{target.letter}.log").open("wb") as log,
        subprocess.Popen(
            command,
            env={**os.environ, **env, **target.env},
            stdout=log,
            stderr=log,
        ) as process,
    ):
        try:
            _wait(process, port, directory / f"{target.letter}.log")
            yield Server(
                target=target,
                port=port,
                process=process,
                postmaster=processes.postmaster(env["DATABASE_URL"]),
            )
        finally:
            process.send_signal(signal.SIGINT)


def _wait(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + 60
    while process.poll() is None and time.monotonic() < deadline:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5)
        except urllib.error.HTTPError:
            return
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise SystemExit(f"A server did not start:\n{log.read_text()[-2000:]}")
