"""What can befall a PostgreSQL: an immediate stop, a freeze. Call these from the main thread only,
because what they start dies with the thread that started it."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import psycopg

from pims.guard import die_with_me


class Postgres:
    """A server of tests.servers, by its address."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.data = Path(self.query("SHOW data_directory")[0][0])
        self.pid = int((self.data / "postmaster.pid").read_text().split()[0])
        argv = Path(f"/proc/{self.pid}/cmdline").read_bytes().rstrip(b"\0").split(b"\0")
        self._argv = [part.decode() for part in argv]
        self._user = os.stat(f"/proc/{self.pid}")
        self._own: subprocess.Popen[bytes] | None = None

    def query(self, sql: str, *parameters: Any) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.url, autocommit=True, connect_timeout=5) as connection:
            cursor = connection.execute(sql, parameters or None)
            return cursor.fetchall() if cursor.description else []

    def empty(self, *tables: str) -> None:
        """Also the audit, which refuses it to everybody who cannot set this."""
        with psycopg.connect(self.url, autocommit=True, connect_timeout=5) as connection:
            connection.execute("SET session_replication_role = replica")
            connection.execute(f"TRUNCATE {', '.join(tables)} CASCADE")

    def configure(self, name: str, value: str | None) -> None:
        """For all sessions, at once; None: as it was."""
        self.query(
            f"ALTER SYSTEM SET {name} = '{value}'" if value else f"ALTER SYSTEM RESET {name}"
        )
        self.query("SELECT pg_reload_conf()")
        self.query("CHECKPOINT")

    def crash(self, *stopped: int) -> None:
        """`pg_ctl stop -m immediate`: no checkpoint, nothing flushed. `stopped`: its processes that
        sleep by a SIGSTOP, and may only wake to die."""
        os.kill(self.pid, signal.SIGQUIT)
        if stopped:
            time.sleep(0.3)
            for pid in stopped:
                os.kill(pid, signal.SIGCONT)
        if self._own:
            self._own.wait()
        else:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(self.pid, 0)

    def start(self) -> None:
        """Again, after `crash`; returns when it answers."""
        (self.data / "postmaster.pid").unlink(missing_ok=True)
        user: dict[str, Any] = {}
        if os.getuid() == 0:
            user = {"user": self._user.st_uid, "group": self._user.st_gid, "extra_groups": []}
        self._own = subprocess.Popen(
            self._argv,
            cwd=self.data.parent,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            preexec_fn=die_with_me(signal.SIGINT),
            **user,
        )
        self.pid = self._own.pid
        self.wait()

    def wait(self, patience: float = 30) -> None:
        deadline = time.monotonic() + patience
        while True:
            try:
                self.query("SELECT 1")
                return
            except psycopg.OperationalError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)

    def revive(self) -> None:
        """Start it where it has ended by itself, as it does when its log cannot be written."""
        try:
            self.wait(10)
        except psycopg.OperationalError:
            with contextlib.suppress(ProcessLookupError):
                self.crash()
            self.start()

    @contextlib.contextmanager
    def frozen(self) -> Any:
        """SIGSTOP to it and to all its children for as long as the block lasts."""
        pids = [self.pid, *children(self.pid)]
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            for pid in pids:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGCONT)
            self.wait()

    def stop(self) -> None:
        """Ends what `start` started."""
        if self._own and self._own.poll() is None:
            self._own.send_signal(signal.SIGINT)
            try:
                self._own.wait(20)
            except subprocess.TimeoutExpired:
                self._own.kill()
                self._own.wait()


def children(pid: int) -> list[int]:
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            found += map(int, task.read_text().split())
    return found
