"""The suite's own servers come, work, and go, however their keeper ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers import CannotStart, running

ROOT = Path(__file__).resolve().parents[2]
USE = (
    "import os, psycopg, redis;"
    "print(psycopg.connect(os.environ['DATABASE_URL']).execute('SHOW fsync').fetchone()[0]);"
    "redis.Redis.from_url(os.environ['REDIS_URL']).ping();"
)


def servers(tmp_path: Path, *args: str, **env: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "tests.servers", *args],
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(tmp_path), **env},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    """Not pytest's own, which other users may not enter: PostgreSQL does not run as root."""
    with tempfile.TemporaryDirectory(prefix="pims-test-servers-") as name:
        path = Path(name)
        path.chmod(0o755)
        yield path


def gone(tmp_path: Path) -> bool:
    """No process works in the folder, and nothing is left in it."""
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and (entry / "cwd").readlink().is_relative_to(tmp_path):
                return False
        except OSError:  # it has just ended
            continue
    return list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("source", ["debian", "wheels"])
def test_they_work_and_go(source: str, tmp_path: Path) -> None:
    if source == "debian" and not list(Path("/usr/lib/postgresql").glob("*/bin/initdb")):
        pytest.skip("Debian's servers are not installed")
    process = servers(
        tmp_path,
        *["--postgresql", "--redis", "--", sys.executable, "-c", USE + "raise SystemExit(7)"],
        TEST_SERVERS=source,
    )

    out, err = process.communicate(timeout=90)

    assert (process.returncode, out) == (7, "off\n"), err
    assert gone(tmp_path)


def test_durable_writes_through(tmp_path: Path) -> None:
    process = servers(
        tmp_path, "--postgresql", "--redis", "--durable", "--", sys.executable, "-c", USE
    )

    assert process.communicate(timeout=90)[0] == "on\n"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_nothing_stays_when_their_keeper_is_stopped(number: int, tmp_path: Path) -> None:
    process = servers(
        tmp_path, "--postgresql", "--redis", "--", "sh", "-c", "echo up; exec sleep 60"
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "up\n"

    process.send_signal(number)
    process.communicate(timeout=60)

    deadline = time.monotonic() + 30
    while not gone(tmp_path):
        assert time.monotonic() < deadline, list(tmp_path.iterdir())
        time.sleep(0.1)


def test_what_is_missing_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEST_SERVERS", "debian")
    monkeypatch.setattr("tests.servers.shutil.which", lambda *_, **__: None)

    with pytest.raises(CannotStart, match="apt install redis-server"), running(postgresql=False):
        pass
