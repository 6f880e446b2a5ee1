"""A lock with a known hole does not pass."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def floors(lock: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "deploy" / "floors.py"), str(lock)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-dev.txt"])
def test_both_locks_are_above_each_known_hole(name: str) -> None:
    done = floors(ROOT / name)
    assert (done.returncode, done.stdout.strip()) == (0, "")


@pytest.mark.parametrize(
    ("line", "status"),
    [
        ("requests==2.32.5", 1),
        ("requests==2.33.0", 0),
        ("requests==2.100.0", 0),
        ("Django==5.2.16 ; python_version > '3'", 1),
        ("unknown==0.1", 0),
    ],
)
def test_a_version_below_is_named(tmp_path: Path, line: str, status: int) -> None:
    lock = tmp_path / "lock.txt"
    lock.write_text(f"{line} \\\n    --hash=sha256:00\n")
    done = floors(lock)
    assert done.returncode == status, done.stderr
    assert ("CVE" in done.stdout) == bool(status)


def test_the_tests_that_the_threat_model_names_are_there() -> None:
    named = re.findall(r"`(tests/[\w/]+\.py)", (ROOT / "SECURITY.md").read_text())
    assert len(named) > 10
    assert [path for path in named if not (ROOT / path).is_file()] == []


TEXT = (ROOT / "deploy" / "floors.txt").read_text()
FLOORS = [line.split(None, 2) for line in TEXT.splitlines() if line and line[0] != "#"]


@pytest.mark.parametrize("line", FLOORS, ids=[line[0] for line in FLOORS])
def test_each_floor_names_where_it_was_published(line: list[str]) -> None:
    assert re.search(r"CVE-\d{4}-\d+|GHSA-\w{4}-\w{4}-\w{4}|PYSEC-\d{4}-\d+|\w+#\d+", line[2])


def test_each_package_was_looked_at() -> None:
    """One that is added has a floor, or somebody says that it needs none."""
    locked = {
        name.lower().replace("_", "-")
        for name in re.findall(
            r"^([A-Za-z0-9._-]+)(?:\[[^]]*\])?==", (ROOT / "requirements.txt").read_text(), re.M
        )
    }
    none = {name for line in re.findall(r"^# none: (.+)$", TEXT, re.M) for name in line.split()}
    floored = {line[0] for line in FLOORS}
    assert locked - none - floored == set()
    assert none - locked == set() and not none & floored
