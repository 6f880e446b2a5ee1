"""A process that outlives its maker just long enough to clean up after it. Standard library only.

PR_SET_PDEATHSIG reaches only a direct child, and a `kill -9` gives nobody a chance to run a
handler. So a small process in a session of its own holds the read end of a pipe whose write end
only the maker has: end of file means that the maker is gone, however it went. What is to be stopped
and removed then is told to it beforehand, and each process tells it itself, between fork and exec,
so that there is no moment in which a process exists unannounced.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable

PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


class Guard:
    """Cleans up when this process has died. Make one before any thread is started."""

    def __init__(self, grace: float = 8.0) -> None:
        """`grace`: seconds between a process's own stop signal and SIGKILL for its whole group."""
        reader, self._writer = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            os.close(self._writer)
            _watch(reader, grace)
            os._exit(0)
        os.close(reader)

    def before_exec(self, stop_signal: int = signal.SIGTERM) -> Callable[[], None]:
        """A `preexec_fn` for a process in a session of its own: announces its group."""

        die_too = die_with_me(stop_signal)  # the second net, for the case that the guard dies too

        def announce() -> None:
            self._say(f"add {os.getpid()} {int(stop_signal)}")
            die_too()

        return announce

    def forget(self, pid: int) -> None:
        """That process and its whole group are gone; the number may be somebody else's soon."""
        self._say(f"del {pid}")

    def remove_later(self, directory: str) -> None:
        """Delete this directory, whichever way this process ends."""
        self._say(f"dir {directory}")

    def close(self) -> None:
        """Let the guard do its work now, and wait until it has ended."""
        os.close(self._writer)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(self.pid, 0)

    def _say(self, line: str) -> None:
        # Shorter than PIPE_BUF, so written in one piece whoever else writes. A guard that was
        # killed is no reason to die too: PR_SET_PDEATHSIG still stands.
        with contextlib.suppress(BrokenPipeError):
            os.write(self._writer, line.encode() + b"\n")


def die_with_me(stop_signal: int = signal.SIGTERM) -> Callable[[], None]:
    """A `preexec_fn`: the kernel sends the child this signal when we die (Linux only)."""
    maker = os.getpid()

    def ask() -> None:
        # A maker that died before this call is noticed by the changed parent. A change of user
        # would clear the setting; subprocess calls us after that.
        if _libc is not None:
            _libc.prctl(PR_SET_PDEATHSIG, int(stop_signal), 0, 0, 0)
            if os.getppid() != maker:
                os._exit(1)

    return ask


def _watch(reader: int, grace: float) -> None:
    """The guard's whole life: read until the maker is gone, then stop and remove what is left."""
    os.setsid()  # a Ctrl-C, or a kill of the maker's group, must not reach the guard
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    signal.set_wakeup_fd(-1)
    os.chdir("/")
    groups: dict[int, int] = {}
    directories: set[str] = set()
    with os.fdopen(reader, encoding="utf-8") as lines:
        for line in lines:
            verb, _, rest = line.rstrip("\n").partition(" ")
            if verb == "add":
                pid, stop_signal = rest.split()
                groups[int(pid)] = int(stop_signal)
            elif verb == "del":
                groups.pop(int(rest), None)
            elif verb == "dir":
                directories.add(rest)
    stop_groups(groups, grace)
    for directory in directories:
        shutil.rmtree(directory, ignore_errors=True)


def stop_groups(groups: dict[int, int], grace: float) -> None:
    """Signal each leader; after `grace` seconds SIGKILL to whole groups that are still there.

    Only the leader gets the first signal: a web server or Celery stops its own children in good
    order, which a signal to the whole group would cut short.
    """
    for pid, stop_signal in groups.items():
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, stop_signal)
    deadline = time.monotonic() + grace
    while any(group_exists(pid) for pid in groups) and time.monotonic() < deadline:
        time.sleep(0.05)
    for pid in groups:
        kill_group(pid)


def group_exists(pgid: int) -> bool:
    """Whether any process is left in the group (one that has died and was not yet waited for
    counts).
    """
    try:
        os.killpg(pgid, 0)
    except ProcessLookupError:
        return False
    return True


def kill_group(pgid: int) -> None:
    """SIGKILL to every process of the group; none left is fine."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pgid, signal.SIGKILL)
