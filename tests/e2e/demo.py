"""The whole demo, as `make run` starts it, for browser tests: real processes, real HTTP."""

from __future__ import annotations

import contextlib
import json
import os
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
from typing import Any, TypeVar

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, kw_only=True)
class Demo:
    port: int
    var_dir: Path
    env: dict[str, str]

    @property
    def base(self) -> str:
        return f"http://localhost:{self.port}"

    @property
    def simulator(self) -> str:
        return f"http://localhost:{self.port + 1}"

    def password(self, username: str) -> str:
        logins = json.loads((self.var_dir / "demo" / "logins.json").read_text())
        return next(str(login["password"]) for login in logins if login["username"] == username)

    def pids(self, *words: str) -> list[int]:
        """Processes of this demo whose command line holds all those words."""
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                line = (folder / "cmdline").read_bytes().decode().split("\0")
                environ = (folder / "environ").read_bytes().decode(errors="replace")
            except OSError:
                continue  # it has ended meanwhile
            if f"VAR_DIR={self.var_dir}" in environ and all(word in line for word in words):
                found.append(int(folder.name))
        return found

    def command(self, *arguments: str, typed: str = "") -> Any:
        """What a management command prints as JSON, run beside the demo on its database.
        `typed`: what it reads from its standard input."""
        done = subprocess.run(
            [sys.executable, "manage.py", *arguments, "--json"],
            cwd=ROOT,
            env=self.env,
            input=typed,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        lines = [json.loads(line) for line in done.stdout.splitlines() if line.strip()]
        return lines[0] if len(lines) == 1 else lines


T = TypeVar("T")


def free_ports() -> int:
    """A port that is free, as is the next one."""
    while True:
        with socket.socket() as first, socket.socket() as second:
            first.bind(("127.0.0.1", 0))
            port: int = first.getsockname()[1]
            try:
                second.bind(("127.0.0.1", port + 1))
            except (OSError, OverflowError):
                continue
            return port


def wait_for(what: Callable[[], T], seconds: float, message: str) -> T:
    """The first true answer within that time."""
    deadline = time.monotonic() + seconds
    while True:
        if found := what():
            return found
        assert time.monotonic() < deadline, message
        time.sleep(0.2)


def is_up(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def environment(port: int, var_dir: Path) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if k in ("PATH", "HOME", "LANG", "TMPDIR")}
    return kept | {
        "VAR_DIR": str(var_dir),
        "PORT": str(port),
        "PUBLIC_BASE_URL": f"http://localhost:{port}",
        "HESKA_BASE_URL": f"http://127.0.0.1:{port + 1}",
        "HESKA_ALLOW_INSECURE": "1",
    }


@contextlib.contextmanager
def running(var_dir: Path) -> Iterator[Demo]:
    """Start `python -m pims.run demo`, wait until it is ready, stop it by Ctrl-C within 10 s."""
    port = free_ports()
    demo = Demo(port=port, var_dir=var_dir, env=environment(port, var_dir))
    output = (var_dir / "run.out").open("wb")
    process = subprocess.Popen(
        [sys.executable, "-m", "pims.run", "demo", "--port", str(port)],
        cwd=ROOT,
        env=demo.env,
        stdout=output,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        wait_for(
            lambda: is_up(f"{demo.base}/readyz") or process.poll() is not None,
            120,
            f"the demo is not ready: {(var_dir / 'run.out').read_text()[-2000:]}",
        )
        assert process.poll() is None, (var_dir / "run.out").read_text()[-2000:]
        wait_for(lambda: is_up(f"{demo.simulator}/state"), 20, "the simulator is not up")
        yield demo
        assert process.poll() is None, (var_dir / "run.out").read_text()[-4000:]
    finally:
        process.send_signal(signal.SIGINT)
        try:
            status = process.wait(12)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
        finally:
            output.close()
    assert status == 0, f"the demo ended with {status}"
