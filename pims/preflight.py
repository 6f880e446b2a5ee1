"""What must be so before anything is started. Each failure is one sentence that says what to do."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import socket
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path


class Refused(Exception):
    """The message is the sentence that the person at the terminal reads."""


def need_python(version: tuple[int, ...] = sys.version_info[:2]) -> None:
    if version < (3, 11):
        raise Refused(
            f"Python 3.11 or newer is needed; this is {'.'.join(map(str, version))}. "
            "Run `make install` with a newer one."
        )


def need_writable(var_dir: Path) -> None:
    try:
        var_dir.mkdir(parents=True, exist_ok=True)
        # Really writing: permission bits say nothing of a read-only file system or a full disk.
        with tempfile.TemporaryFile(dir=var_dir) as probe:
            probe.write(b"x" * 4096)
    except OSError as error:
        raise Refused(
            f"Cannot write in {var_dir} ({error.strerror}). Make it writable for you, "
            "or name another folder in VAR_DIR."
        ) from error


def need_port(host: str, port: int, purpose: str = "") -> None:
    """Granian would share a taken port with whoever has it (SO_REUSEPORT); this does not."""
    if not 0 < port < 65536:
        raise Refused(f"{port} is not a port number; choose one between 1024 and 65534 with PORT=…")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                reason = f"Port {port}, needed {purpose}on {host}, is taken by another program."
                raise Refused(f"{reason} Stop that one, or choose another with PORT=…") from error
            raise Refused(
                f"Cannot listen on {host} port {port}: {error.strerror}. "
                "Choose another with HOST=… and PORT=…"
            ) from error


@contextlib.contextmanager
def hold(lock: Path, patience: float = 10.0) -> Iterator[None]:
    """Keep the folder to ourselves: two schedulers on one database would do everything twice.

    Waits `patience` seconds, the time in which a previous run that was killed is cleaned up.
    """
    deadline = time.monotonic() + patience
    with lock.open("w") as file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise Refused(
                        f"Another run is using {lock.parent}. Stop that one, "
                        "or name another folder in VAR_DIR."
                    ) from None
                time.sleep(0.2)
        yield
