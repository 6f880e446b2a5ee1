"""Runs a handful of programs as one: all of them up, or none. Standard library only, and knows
nothing of this project.

Every program is a real process in a session of its own, so that Ctrl-C reaches only the supervisor,
which then stops them in good order. One thread and one `select` loop: forking stays safe, and there
is no state to lock.
"""

from __future__ import annotations

import contextlib
import logging
import os
import selectors
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import IO, cast

from pims.guard import Guard, kill_group

GRACE = 8.0  # seconds between the stop signal and SIGKILL; the whole stop stays under 10
MAX_DEATHS, WINDOW = 3, 60.0  # so many deaths of one program within so many seconds stop the whole
BACKOFF = 0.5  # seconds before the first restart; doubled at each further death within the window
LONGEST_BACKOFF = 10.0  # for a program that the others can do without
SECOND_SIGNAL_AFTER = 0.5  # make and a service manager may both pass on one and the same signal
LOG_LIMIT = 5_000_000  # bytes of a log file before it becomes <name>.log.1
LAST_LINES = 8


@dataclass(frozen=True)
class Program:
    """What to run. `env` replaces the environment, `stop_signal` asks for an orderly end; `delay`:
    seconds after the supervisor's own start. `vital`: the others are stopped where it keeps dying;
    else it is started again for as long as it takes.
    """

    name: str
    argv: Sequence[str]
    env: Mapping[str, str]
    stop_signal: int = signal.SIGTERM
    delay: float = 0.0
    vital: bool = True


@dataclass
class _Running:
    """One program and its present process, its log and its recent deaths."""

    program: Program
    log: _Log
    started: subprocess.Popen[bytes] | None = None
    pending: bytes = b""
    last_lines: deque[str] = field(default_factory=lambda: deque(maxlen=LAST_LINES))
    deaths: deque[float] = field(default_factory=lambda: deque(maxlen=10))
    start_at: float = 0.0

    @property
    def process(self) -> subprocess.Popen[bytes]:
        """The present process; only for a program that has been started."""
        if self.started is None:
            raise RuntimeError(f"{self.program.name} is not running")
        return self.started

    @property
    def output(self) -> IO[bytes]:
        return cast("IO[bytes]", self.process.stdout)


class Supervisor:
    """Call `run` once, from the main thread."""

    def __init__(
        self, programs: Sequence[Program], log_dir: Path, out: IO[str] | None = None
    ) -> None:
        """`log_dir` gets one `<name>.log` for each program; `out` (default: standard output) gets
        every line.
        """
        log_dir.mkdir(parents=True, exist_ok=True)
        self._log = _Log(log_dir / "supervisor.log")
        self._running = [_Running(p, _Log(log_dir / f"{p.name}.log")) for p in programs]
        self._out: IO[str] | None = out or sys.stdout
        self._width = max(len(program.name) for program in programs)
        self._selector = selectors.DefaultSelector()
        for running in self._running:
            running.start_at = time.monotonic() + running.program.delay
        self._signals: deque[float] = deque()
        self._guard = Guard(GRACE)

    def run(self, tick: Callable[[], None] = lambda: None) -> int:
        """Run until a signal (returns 0) or until one program keeps dying (returns 1); then nothing
        is left running.

        `tick` is called several times a second while all goes well; it must not block for long.
        """
        before = {
            number: signal.signal(number, lambda *_: self._signals.append(time.monotonic()))
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        }
        try:
            while not self._signals:
                for running in self._running:
                    if not self._tend(running):
                        return 1
                self._read(0.1)
                tick()
            self._say("stopping (once more to stop at once)")
            return 0
        finally:
            self._stop()
            for number, handler in before.items():
                signal.signal(number, handler)
            self._guard.close()

    def _tend(self, running: _Running) -> bool:
        """Start the program if it is not running and its time has come. False: it has died too
        often.
        """
        now = time.monotonic()
        if running.started is None:
            if now >= running.start_at:
                self._start(running)
            return True
        if not _has_ended(running.process.pid):
            return True
        status = self._bury(running)
        running.deaths.append(now)
        recent = [death for death in running.deaths if now - death < WINDOW]
        self._say(f"{running.program.name} died ({status}). Its last lines:")
        for line in running.last_lines or ["(it said nothing)"]:
            self._say(f"    {line}")
        if len(recent) >= MAX_DEATHS and running.program.vital:
            self._say(
                f"{running.program.name} died {len(recent)} times within {WINDOW:.0f} seconds, "
                f"so everything is stopped. Its full output is in {running.log.baseFilename}"
            )
            return False
        running.start_at = now + min(BACKOFF * 2 ** (len(recent) - 1), LONGEST_BACKOFF)
        self._say(f"{running.program.name} is started again")
        return True

    def _start(self, running: _Running) -> None:
        program = running.program
        running.last_lines.clear()
        running.started = subprocess.Popen(  # noqa: S603 - the programs are the caller's own
            program.argv,
            env=dict(program.env),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=self._guard.before_exec(program.stop_signal),  # one thread only: see above
        )
        os.set_blocking(running.output.fileno(), False)
        self._selector.register(running.output, selectors.EVENT_READ, running)

    def _bury(self, running: _Running) -> str:
        """End what is left of a program whose first process has ended; how it ended, in words."""
        process = running.process
        # Its children may still hold the port. The dead leader is waited for only after that: until
        # then its number, and so the group's, cannot belong to anybody else.
        kill_group(process.pid)
        code = process.wait()
        self._guard.forget(process.pid)
        if running.output in self._selector.get_map():
            self._drain(running)
            self._selector.unregister(running.output)
        running.output.close()
        if running.pending:
            self._line(running, running.pending)
            running.pending = b""
        running.started = None
        return f"exit status {code}" if code >= 0 else f"killed by {signal.Signals(-code).name}"

    def _stop(self) -> None:
        """Stop everything: signal, grace, SIGKILL. A second signal from outside ends the grace."""
        asked = self._signals[0] if self._signals else time.monotonic()
        alive = [running for running in self._running if running.started is not None]
        for running in alive:
            # Not Popen.send_signal: that waits for a dead leader, whose group then has no name.
            with contextlib.suppress(ProcessLookupError):
                os.kill(running.process.pid, running.program.stop_signal)
        deadline = time.monotonic() + GRACE
        while alive and time.monotonic() < deadline and not self._asked_again(asked):
            self._read(0.1)
            for running in list(alive):
                if _has_ended(running.process.pid):
                    self._bury(running)
                    alive.remove(running)
        for running in alive:
            kill_group(running.process.pid)
            self._bury(running)
            self._say(f"{running.program.name} did not stop in time and was killed")

    def _asked_again(self, first: float) -> bool:
        return any(moment - first > SECOND_SIGNAL_AFTER for moment in self._signals)

    def _read(self, timeout: float) -> None:
        for key, _events in self._selector.select(timeout):
            if not self._drain(key.data):
                self._selector.unregister(key.fileobj)

    def _drain(self, running: _Running) -> bool:
        """Take over what the program has written so far. False: it has closed its output."""
        while True:
            chunk = running.output.read(65536)
            if not chunk:
                return chunk is None  # None: nothing at the moment; b"": closed
            *lines, running.pending = (running.pending + chunk).split(b"\n")
            if len(running.pending) > 65536:  # no line end in sight: do not gather it in memory
                lines.append(running.pending)
                running.pending = b""
            for line in lines:
                self._line(running, line)

    def _line(self, running: _Running, raw: bytes) -> None:
        text = raw.decode("utf-8", "replace").rstrip("\r")
        running.last_lines.append(text)
        _append(running.log, text)
        self._print(running.program.name, text)

    def _say(self, text: str) -> None:
        _append(self._log, text)
        self._print("all", text)

    def _print(self, name: str, text: str) -> None:
        if self._out is None:
            return
        try:
            print(f"{name:<{self._width}} | {text}", file=self._out, flush=True)
        except OSError:  # the terminal is gone; the log files still get every line
            self._out = None


class _Log(RotatingFileHandler):
    """A log file that starts anew by size. A full disk must not stop the programs."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, maxBytes=LOG_LIMIT, backupCount=1, encoding="utf-8", delay=True)

    def handleError(self, record: logging.LogRecord) -> None:
        print(f"could not write {self.baseFilename}: {sys.exc_info()[1]}", file=sys.stderr)


def _append(log: _Log, text: str) -> None:
    log.handle(logging.makeLogRecord({"msg": text}))


def _has_ended(pid: int) -> bool:
    """Whether the child has ended, without waiting for it: its number stays taken until then."""
    flags = os.WEXITED | os.WNOHANG | os.WNOWAIT
    return os.waitid(os.P_PID, pid, flags) is not None
