"""The way out to shoot at: PostgreSQL and Redis of its own, real workers and scheduler, and a
laboratory that keeps count."""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from pims import run
from pims.guard import die_with_me, kill_group
from tests import servers
from tests.faults import laboratory
from tests.faults.laboratory import Books
from tests.faults.postgres import Postgres, children

CELERY = ["celery", "--quiet", "--app"]


class Process:
    """A program in a session of its own. Call it from the main thread only (see postgres.py)."""

    def __init__(self, argv: Sequence[str], env: dict[str, str], log: Path) -> None:
        self.argv, self.env, self.log = list(argv), env, log
        self.revived = 0
        self._process: subprocess.Popen[bytes] | None = None
        self._file: IO[bytes] | None = None

    def start(self) -> None:
        self._file = self._file or self.log.open("ab")
        self._process = subprocess.Popen(
            self.argv,
            env=self.env,
            cwd=run.ROOT,
            stdin=subprocess.DEVNULL,
            stdout=self._file,
            stderr=self._file,
            start_new_session=True,
            preexec_fn=die_with_me(),
        )

    @property
    def pid(self) -> int:
        assert self._process, "start it first"
        return self._process.pid

    def revive(self) -> None:
        """What the supervisor does."""
        if self._process is None or self._process.poll() is not None:
            self.revived += 1
            self.start()

    def family(self) -> list[int]:
        return [self.pid, *children(self.pid)]

    def signal_all(self, number: int) -> None:
        if self._process is None:
            return
        for pid in self.family():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def kill_one_of_it(self, chance: random.Random) -> bool:
        """One of the processes that do the work; false where there is none at this moment."""
        if pids := children(self.pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(chance.choice(pids), signal.SIGKILL)
                return True
        return False

    def kill(self) -> None:
        if self._process is not None:
            kill_group(self._process.pid)
            self._process.wait()
            self._process = None

    def close(self) -> None:
        self.kill()
        if self._file:
            self._file.close()

    def tail(self) -> str:
        return self.log.read_text()[-3000:] if self.log.exists() else ""


@dataclass(repr=False)
class Yard:
    env: dict[str, str]
    directory: Path
    postgres: Postgres
    redis: Process
    books: Books
    url: str
    workers: list[Process] = field(default_factory=list)
    beat: Process | None = None
    ids: list[str] = field(default_factory=list)
    slowest: float = 0.0

    def worker(self, *, app: str = "pims", wrapper: Sequence[str] = ("-m",), **env: str) -> Process:
        """One with two processes, started."""
        argv = [sys.executable, *wrapper, *CELERY, app, "worker", "--concurrency", "2"]
        argv += ["--loglevel", "INFO", "--without-gossip", "--hostname", f"w{len(self.workers)}@x"]
        log = self.directory / f"worker{len(self.workers)}.log"
        made = Process(argv, self.env | env, log)
        made.start()
        self.workers.append(made)
        return made

    def start_beat(self) -> None:
        schedule = str(self.directory / "beat")
        argv = [sys.executable, "-m", *CELERY, "pims", "beat", "--pidfile=", "--schedule", schedule]
        self.beat = Process(argv, self.env, self.directory / "beat.log")
        self.beat.start()

    def placing(self, orders: int, *, clinics: int = 4, every: float = 0) -> subprocess.Popen[str]:
        argv = [sys.executable, "-m", "tests.faults.place", str(clinics), str(orders), str(every)]
        return subprocess.Popen(
            argv, env=self.env, cwd=run.ROOT, stdout=subprocess.PIPE, text=True,
            preexec_fn=die_with_me(),
        )  # fmt: skip

    def placed(self, process: subprocess.Popen[str]) -> None:
        while process.poll() is None:
            self.supervise()
            time.sleep(0.2)
        said, _ = process.communicate()
        assert process.returncode == 0
        answer = json.loads(said.splitlines()[-1])
        self.ids += answer["ids"]
        self.slowest = max(self.slowest, answer["slowest"])

    def place(self, orders: int, **how: Any) -> None:
        self.placed(self.placing(orders, **how))

    @property
    def failpoint(self) -> Path:
        return self.directory / "failpoint"

    def supervise(self) -> None:
        """What ended is started again, as pims/supervisor.py does."""
        for process in [*self.workers, *([self.beat] if self.beat else [])]:
            process.revive()

    def rows(self) -> list[tuple[Any, ...]]:
        return self.postgres.query(
            "SELECT r.lab_report_id, s.state, s.external_id FROM labs_submission s "
            "JOIN labs_labrequest r ON r.id = s.request_id"
        )

    def waiting(self) -> int:
        [(count,)] = self.postgres.query(
            "SELECT count(*) FROM labs_submission WHERE state <> 'accepted'"
        )
        return int(count)

    def hurry(self) -> None:
        """What waits for its time, or for a dead worker's lease to end, waits no longer."""
        self.postgres.query(
            "UPDATE labs_submission SET not_before = now(), woken_at = NULL "
            "WHERE state IN ('queued', 'unknown')"
        )
        # Not a lease of somebody at work: a few of those taken away, and the order is given up.
        self.postgres.query(
            "UPDATE labs_submission SET lease_until = now() - interval '1 second' "
            "WHERE state = 'sending' AND lease_until < now() + interval '110 seconds'"
        )

    def settle(self, patience: float, *, hurry: bool = False) -> float:
        """Until nothing waits any more; the seconds that it took. Workers that end are started
        again, as their supervisor would. `hurry`: do not wait for schedules and leases."""
        began = time.monotonic()
        while self.waiting() and time.monotonic() - began < patience:
            self.supervise()
            if hurry:
                self.hurry()
                subprocess.run(
                    [sys.executable, "manage.py", "sweep"],
                    env=self.env, cwd=run.ROOT, stdout=subprocess.DEVNULL, check=False,
                )  # fmt: skip
            time.sleep(1)
        return time.monotonic() - began

    def clear(self) -> None:
        """Nobody at work, nothing placed; clinics and patients stay."""
        for process in [*self.workers, *([self.beat] if self.beat else [])]:
            process.signal_all(signal.SIGCONT)
            process.close()
        self.workers, self.beat, self.ids, self.slowest = [], None, [], 0.0
        self.env = {k: v for k, v in self.env.items() if k != "SABOTAGE"}
        self.env["HESKA_BASE_URL"] = self.url
        self.failpoint.unlink(missing_ok=True)
        for log in self.directory.glob("*.log"):
            log.write_text("")
        (self.directory / "beat").unlink(missing_ok=True)
        self.redis.revive()
        client(self).flushall()
        self.postgres.empty("labs_labrequest", "labs_message", "labs_labevent")
        self.postgres.query(
            "UPDATE heska_connection SET token = '', token_id = NULL, token_expires_at = NULL, "
            "token_lease = NULL, token_not_before = NULL, token_failures = 0, refused_at = NULL"
        )
        self.books.clear()

    def judge(self) -> list[str]:
        return laboratory.judge(self.books, self.ids, self.rows())

    def tails(self) -> str:
        return "\n".join(worker.tail() for worker in self.workers)


@contextlib.contextmanager
def running() -> Iterator[Yard]:
    """Database and broker, and nobody at work yet."""
    directory = Path(tempfile.mkdtemp(prefix="pims-yard-"))
    with contextlib.ExitStack() as cleanup:
        cleanup.callback(shutil.rmtree, directory, ignore_errors=True)
        env = {
            name: value
            for name, value in os.environ.items()
            if name not in {"DATABASE_URL", "REDIS_URL", "FAILPOINT"}
        }
        env |= cleanup.enter_context(servers.running(redis=False))
        url, books = cleanup.enter_context(laboratory.open_())
        port = servers._free_port()
        broker = Process(
            [
                *[str(servers._redis_program()), "--port", str(port), "--bind", "127.0.0.1"],
                *["--dir", str(directory), "--save", "", "--appendonly", "no"],
            ],
            env,
            directory / "redis.log",
        )
        cleanup.callback(broker.close)
        broker.start()
        (directory / "var").mkdir()
        env |= {
            "DJANGO_SETTINGS_MODULE": "pims.settings",
            "VAR_DIR": str(directory / "var"),
            "REDIS_URL": f"redis://127.0.0.1:{port}/0",
            "PUBLIC_BASE_URL": "http://localhost:8000",
            "HESKA_BASE_URL": url,
            "HESKA_SUBSCRIPTION_KEY": "key",
            "HESKA_ALLOW_INSECURE": "1",
            "FAILPOINT": str(directory / "failpoint"),
            "PYTHONUNBUFFERED": "1",
        }
        made = subprocess.run(
            [sys.executable, "manage.py", "migrate", "--verbosity", "0"],
            env=env, cwd=run.ROOT, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert made.returncode == 0, made.stderr
        postgres = Postgres(env["DATABASE_URL"])
        cleanup.callback(postgres.stop)
        yard = Yard(env, directory, postgres, broker, books, url)
        try:
            yield yard
        finally:
            yard.clear()


def client(yard: Yard) -> redis.Redis:
    return redis.Redis.from_url(
        yard.env["REDIS_URL"], socket_timeout=2, retry=Retry(NoBackoff(), 5)
    )
