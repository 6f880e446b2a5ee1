"""The real web server, as `python -m pims.run` starts it, and ways to kill it."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import time
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import IO

from pims import run
from pims.guard import die_with_me, kill_group
from tests.faults.postgres import children


class Web:
    """Call `start`, `restart` and `stop` from the main thread only (see postgres.py)."""

    def __init__(
        self,
        port: int,
        env: Mapping[str, str],
        log: Path,
        *,
        workers: int = 2,
        application: str = "pims.wsgi:application",
    ) -> None:
        self.port, self.env, self.log = port, dict(env), log
        self._argv = [*run.granian("127.0.0.1", port, str(workers))[:-1], application]
        self._process: subprocess.Popen[bytes] | None = None
        self._file: IO[bytes] | None = None

    def start(self) -> None:
        if self._file:
            self._file.close()
        self._file = self.log.open("ab")
        self._process = subprocess.Popen(
            self._argv,
            env=self.env,
            cwd=run.ROOT,
            stdin=subprocess.DEVNULL,
            stdout=self._file,
            stderr=self._file,
            start_new_session=True,
            preexec_fn=die_with_me(),
        )
        self.wait_until_alive()

    def wait_until_alive(self, patience: float = 60) -> None:
        deadline = time.monotonic() + patience
        address = f"http://127.0.0.1:{self.port}/healthz"
        while True:
            try:
                with urllib.request.urlopen(address, timeout=2):
                    return
            except OSError:
                if time.monotonic() > deadline or self.process.poll() is not None:
                    raise RuntimeError(f"no web server:\n{self.tail()}") from None
                time.sleep(0.05)

    @property
    def process(self) -> subprocess.Popen[bytes]:
        assert self._process, "start it first"
        return self._process

    def revive(self) -> bool:
        """What the supervisor does: start the server where it has ended. Whether it had."""
        if self.process.poll() is None:
            return False
        kill_group(self.process.pid)
        self.start()
        return True

    def workers(self) -> list[int]:
        """Without the helper process of Python's multiprocessing."""
        found = []
        for pid in children(self.process.pid):
            with contextlib.suppress(OSError):
                if b"resource_tracker" not in Path(f"/proc/{pid}/cmdline").read_bytes():
                    found.append(pid)
        return found

    def kill_one(self, chance: random.Random) -> bool:
        """`kill -9` of one worker; False where none lives at this moment."""
        alive = self.workers()
        if not alive:
            return False
        with contextlib.suppress(ProcessLookupError):
            os.kill(chance.choice(alive), signal.SIGKILL)
        return True

    def kill_all(self) -> None:
        """`kill -9` of the server and every worker at once."""
        kill_group(self.process.pid)
        self.process.wait()

    def stop(self) -> None:
        if self._process and self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(8)
            except subprocess.TimeoutExpired:
                pass
        if self._process:
            kill_group(self._process.pid)
            self._process.wait()
        if self._file:
            self._file.close()

    def tail(self, lines: int = 30) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])
