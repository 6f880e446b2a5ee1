"""Real processes all through: what matters is what the kernel says is still there."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

# argv of this script: log folder, then name=shell command for each program.
SCRIPT = """
import os, sys
from pathlib import Path
from pims.supervisor import Program, Supervisor
folder, *programs = sys.argv[1:]
pairs = [text.split("=", 1) for text in programs]
sys.exit(Supervisor(
    [
        Program(name, ["sh", "-c", command], os.environ, vital=not name.startswith("minor"))
        for name, command in pairs
    ],
    Path(folder),
).run())
"""


class Supervised:
    def __init__(self, tmp_path: Path, programs: dict[str, str]) -> None:
        self.mark = f"mark-{tmp_path.name}-{time.monotonic_ns()}"
        self.process = subprocess.Popen(
            [sys.executable, "-c", SCRIPT, str(tmp_path / "log")]
            + [f"{name}={command}" for name, command in programs.items()],
            cwd=ROOT,
            env={**os.environ, "MARK": self.mark},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def alive(self) -> list[int]:
        """Every process with our mark in its environment, the supervisor and its guard included."""
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit() and entry.name != str(os.getpid()):
                try:
                    if f"MARK={self.mark}".encode() in (entry / "environ").read_bytes():
                        found.append(int(entry.name))
                except OSError:  # it has ended in the meantime
                    continue
        return found

    def finish(self, within: float) -> str:
        out, _ = self.process.communicate(timeout=within)
        return out


@pytest.fixture
def supervise(tmp_path: Path) -> Iterator[Callable[..., Supervised]]:
    made: list[Supervised] = []

    def start(**programs: str) -> Supervised:
        made.append(Supervised(tmp_path, programs))
        return made[-1]

    yield start
    for supervised in made:
        for pid in supervised.alive():
            os.kill(pid, signal.SIGKILL)
        supervised.process.wait()
        supervised.process.stdout.close()


def until(condition: Callable[[], object], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


def test_a_program_that_dies_is_named_with_its_last_lines_and_restarted(
    supervise: Callable[..., Supervised], tmp_path: Path
) -> None:
    flag = tmp_path / "died"
    supervised = supervise(
        steady="sleep 60",
        frail=f"test -e {flag} && exec sleep 60; touch {flag}; echo last words; exit 3",
    )
    said = tmp_path / "log" / "supervisor.log"
    until(lambda: said.exists() and "started again" in said.read_text())
    time.sleep(1)  # the backoff, and a moment to live

    os.kill(supervised.process.pid, signal.SIGTERM)
    out = supervised.finish(within=10)

    assert supervised.process.returncode == 0
    assert "frail died (exit status 3). Its last lines:" in out
    assert "    last words" in out
    assert out.count("frail died") == 1
    assert "frail  | last words" in out
    assert "last words" in (tmp_path / "log" / "frail.log").read_text()


def test_three_deaths_within_a_minute_stop_the_whole(
    supervise: Callable[..., Supervised], tmp_path: Path
) -> None:
    supervised = supervise(steady="sleep 60", frail="echo no; exit 1")

    out = supervised.finish(within=15)

    assert supervised.process.returncode == 1
    assert "frail died 3 times within 60 seconds, so everything is stopped" in out
    assert str(tmp_path / "log" / "frail.log") in out
    assert supervised.alive() == []


def test_a_minor_program_may_die_again_and_again(
    supervise: Callable[..., Supervised], tmp_path: Path
) -> None:
    """A worker whose broker is full must not take the web server along."""
    supervised = supervise(steady="sleep 60", minor="exit 1")
    log = tmp_path / "log" / "supervisor.log"
    until(lambda: log.exists() and log.read_text().count("minor died") >= 4)
    assert supervised.process.poll() is None
    supervised.process.send_signal(signal.SIGTERM)
    out = supervised.finish(within=15)
    assert supervised.process.returncode == 0
    assert "everything is stopped" not in out


def test_children_of_a_dead_program_do_not_keep_its_place(
    supervise: Callable[..., Supervised],
) -> None:
    """A web server's workers would hold the port, and the restart would fail for ever."""
    supervised = supervise(frail="sleep 61 & exit 1")

    supervised.finish(within=15)

    assert supervised.alive() == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_stops_everything(supervise: Callable[..., Supervised], number: int) -> None:
    supervised = supervise(one="sleep 60 & wait", two="exec sleep 60")
    until(lambda: len(supervised.alive()) == 5)  # supervisor, guard, shell and its child, sleep

    os.kill(supervised.process.pid, number)
    supervised.finish(within=3)

    assert supervised.process.returncode == 0
    assert supervised.alive() == []


def test_what_does_not_stop_is_killed_within_ten_seconds(
    supervise: Callable[..., Supervised],
) -> None:
    supervised = supervise(deaf="trap '' TERM; echo ready; while :; do sleep 1; done")
    until(lambda: len(supervised.alive()) == 4)

    started = time.monotonic()
    os.kill(supervised.process.pid, signal.SIGTERM)
    out = supervised.finish(within=10)

    assert 7 < time.monotonic() - started < 10
    assert "deaf did not stop in time and was killed" in out
    assert supervised.alive() == []


def test_a_second_signal_kills_at_once(supervise: Callable[..., Supervised]) -> None:
    supervised = supervise(deaf="trap '' TERM; while :; do sleep 1; done")
    until(lambda: len(supervised.alive()) == 4)

    os.kill(supervised.process.pid, signal.SIGINT)
    time.sleep(0.8)
    os.kill(supervised.process.pid, signal.SIGINT)
    supervised.finish(within=2)

    assert supervised.alive() == []


def test_one_signal_passed_on_twice_is_one(supervise: Callable[..., Supervised]) -> None:
    """make forwards a SIGTERM that the service manager has sent to everybody already."""
    supervised = supervise(slow="trap 'sleep 1; echo in good order; exit' TERM; sleep 60 & wait")
    until(lambda: len(supervised.alive()) == 4)

    os.kill(supervised.process.pid, signal.SIGTERM)
    os.kill(supervised.process.pid, signal.SIGTERM)

    assert "in good order" in supervised.finish(within=5)


def test_kill_9_of_the_supervisor_leaves_nothing(supervise: Callable[..., Supervised]) -> None:
    supervised = supervise(one="sleep 60 & wait", deaf="trap '' TERM; while :; do sleep 1; done")
    until(lambda: len(supervised.alive()) == 6)

    os.killpg(supervised.process.pid, signal.SIGKILL)

    until(lambda: supervised.alive() == [], seconds=12)


def test_kill_9_of_supervisor_and_guard_leaves_nothing(
    supervise: Callable[..., Supervised],
) -> None:
    """The kernel's own signal is the second net."""
    supervised = supervise(one="exec sleep 60", two="exec sleep 60")
    until(lambda: len(supervised.alive()) == 4)
    # The guard is the first child it made.
    children = Path(f"/proc/{supervised.process.pid}/task/{supervised.process.pid}/children")
    guard = int(children.read_text().split()[0])

    os.kill(guard, signal.SIGKILL)
    os.kill(supervised.process.pid, signal.SIGKILL)

    until(lambda: supervised.alive() == [], seconds=3)


def test_a_closed_terminal_is_no_reason_to_stop(
    supervise: Callable[..., Supervised], tmp_path: Path
) -> None:
    supervised = supervise(chatty="while :; do echo word; sleep 0.1; done")
    until(lambda: len(supervised.alive()) >= 3)
    assert supervised.process.stdout is not None
    supervised.process.stdout.close()
    log = tmp_path / "log" / "chatty.log"
    before = log.stat().st_size if log.exists() else 0

    until(lambda: log.exists() and log.stat().st_size > before + 20)

    assert supervised.process.poll() is None
