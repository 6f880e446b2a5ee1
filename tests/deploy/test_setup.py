"""What `make` does before anything is installed: it finds a Python, and says so in one sentence if
it cannot.
"""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """As much of a clone as the set-up reads."""
    shutil.copytree(ROOT / "deploy", tmp_path / "deploy")
    for name in ("requirements.txt", "requirements-dev.txt", "requirements-data.txt"):
        shutil.copy(ROOT / name, tmp_path)
    return tmp_path


@pytest.fixture
def install(clone: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("install", clone / "deploy" / "install.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def done(install: ModuleType, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What would be done, without the minute that it takes."""
    steps: list[str] = []

    def make_venv() -> None:
        steps.append("venv")
        (install.VENV / "bin").mkdir(parents=True, exist_ok=True)

    monkeypatch.setattr(install, "make_venv", make_venv)
    monkeypatch.setattr(install, "install", steps.append)
    monkeypatch.setattr(install, "python_works", lambda: "venv" in steps)
    return steps


def test_no_python_that_is_new_enough(
    clone: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    programs = tmp_path_factory.mktemp("bin")
    for name in ("python3", "python3.13", "python"):  # there, but too old or a mere placeholder
        (programs / name).write_text(
            '#!/bin/sh\n[ "$1" = -V ] && echo Python 3.9.2 && exit\nexit 1\n'
        )
        (programs / name).chmod(0o755)
    (programs / "dirname").symlink_to(shutil.which("dirname") or "")

    result = subprocess.run(
        ["/bin/sh", "deploy/setup.sh", "run"],
        cwd=clone,
        env={"PATH": str(programs)},
        capture_output=True,
        text=True,
    )

    assert result.returncode == 1
    assert result.stderr == (
        "Python 3.11 or newer is needed and was not found (Python 3.9.2). "
        "Install one, or name it: make run PYTHON=/path/to/python3\n"
    )


def test_no_venv_module(clone: Path) -> None:
    """As in Debian's python3 without python3-venv."""
    code = (
        "import runpy, sys; sys.modules['ensurepip'] = None; sys.argv = ['install.py', 'run']; "
        "runpy.run_path('deploy/install.py', run_name='__main__')"
    )

    result = subprocess.run([sys.executable, "-c", code], cwd=clone, capture_output=True, text=True)

    assert result.returncode == 1
    assert (
        "has no venv module. Install it (on Debian or Ubuntu: apt install python3." in result.stderr
    )
    assert "Traceback" not in result.stderr


def test_no_permission(install: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)

    with pytest.raises(SystemExit, match="No permission to write in"):
        install.main("run")


def test_first_time_and_second_time(install: ModuleType, done: list[str]) -> None:
    install.main("run")
    install.main("run")

    assert done == ["venv", "run"]


def test_the_development_set_contains_the_other(install: ModuleType, done: list[str]) -> None:
    install.main("dev")
    install.main("run")

    assert done == ["venv", "dev"]


def test_tools_are_added_to_what_is_there(install: ModuleType, done: list[str]) -> None:
    install.main("run")
    install.main("dev")

    assert done == ["venv", "run", "dev"]


def test_a_changed_lock_file_is_followed(install: ModuleType, done: list[str]) -> None:
    install.main("run")
    with install.LOCKS["run"].open("a") as lock:
        lock.write("# changed\n")
    install.main("run")

    assert done == ["venv", "run", "run"]


def test_changed_data_concerns_the_development_set_alone(
    install: ModuleType, done: list[str]
) -> None:
    install.main("dev")
    with install.LOCKS["data"].open("a") as lock:
        lock.write("# changed\n")
    install.main("run")
    install.main("dev")

    assert done == ["venv", "dev", "dev"]


def test_data_comes_with_its_hash_and_without_what_it_depends_on(
    install: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    commands: list[list[str]] = []

    def run(command: list[str], **_: bool) -> subprocess.CompletedProcess[str]:
        commands.append([str(part) for part in command])
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr(install.subprocess, "run", run)
    install.VENV.mkdir()
    install.install("run")
    install.install("dev")

    files = [Path(command[-1]).name for command in commands]
    assert files == ["requirements.txt", "requirements-dev.txt", "requirements-data.txt"]
    assert all("--require-hashes" in command for command in commands)
    assert ["--no-deps" in command for command in commands] == [False, False, True]


def test_a_broken_environment_is_made_anew(install: ModuleType, done: list[str]) -> None:
    install.main("run")
    done.clear()  # its Python is gone, says python_works

    install.main("run")

    assert done == ["venv", "run"]


@pytest.mark.parametrize("stamp", ["", "[]", '{"place": "/elsewhere/.venv"}'])
def test_an_interrupted_or_moved_environment_is_made_anew(
    install: ModuleType, done: list[str], stamp: str
) -> None:
    install.main("run")
    install.STAMP.write_text(stamp)
    done[:] = ["venv"]  # its Python works

    install.main("run")

    assert done == ["venv", "venv", "run"]


def test_another_checkouts_environment_is_left_alone(
    install: ModuleType, done: list[str], tmp_path: Path
) -> None:
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    (theirs / "installed.json").write_text('{"place": "/elsewhere/.venv"}')
    install.VENV.symlink_to(theirs)

    with pytest.raises(SystemExit, match="is a link to"):
        install.main("run")

    assert done == []
    assert (theirs / "installed.json").exists()


def test_the_stamp_is_written_last(
    install: ModuleType, done: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(kind: str) -> None:
        sys.exit("The packages could not be installed")

    monkeypatch.setattr(install, "install", fails)
    with pytest.raises(SystemExit):
        install.main("run")

    assert not install.STAMP.exists()


def test_locks_name_no_place_and_hash_everything() -> None:
    for name in ("requirements.txt", "requirements-dev.txt"):
        text = (ROOT / name).read_text()
        packages = [line for line in text.splitlines() if line and line[0].isalnum()]
        assert "://" not in text
        assert len(packages) > 20
        assert text.count("--hash=sha256:") >= len(packages)


def test_the_development_lock_agrees_with_the_other() -> None:
    def pins(name: str) -> set[str]:
        lines = (ROOT / name).read_text().splitlines()
        return {line.split(" ")[0] for line in lines if line and line[0].isalnum()}

    assert pins("requirements.txt") <= pins("requirements-dev.txt")


def test_stamp_is_json(install: ModuleType, done: list[str]) -> None:
    install.main("run")

    assert set(json.loads(install.STAMP.read_text())) == {"place", "run"}
