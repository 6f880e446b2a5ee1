"""Each refusal is one sentence that names the trouble and what to do about it."""

from __future__ import annotations

import os
import re
import secrets
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from cryptography.fernet import Fernet

from pims import preflight
from tests.blackbox.installation import database_url

ROOT = Path(__file__).resolve().parents[2]
SAFE = {
    "PUBLIC_BASE_URL": "https://lab.example.org",
    "ALLOWED_HOSTS": "lab.example.org",
    "HESKA_ALLOW_INSECURE": "",
    "DEBUG": "",
}


@pytest.fixture
def taken() -> Iterator[int]:
    """A port that is taken, after one that is free."""
    while True:
        with socket.socket() as server, socket.socket() as before:
            server.bind(("127.0.0.1", 0))
            port = int(server.getsockname()[1])
            try:
                before.bind(("127.0.0.1", port - 1))
            except OSError:
                continue
            before.close()
            server.listen()
            yield port
            return


def refusal(*args: object, lines: int = 1, **env: object) -> str:
    """The last line; one before it says that a database is being made."""
    result = subprocess.run(
        [sys.executable, "-m", "pims.run", *map(str, args)],
        cwd=ROOT,
        env={**os.environ, "DJANGO_SETTINGS_MODULE": "", **{k: str(v) for k, v in env.items()}},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert result.returncode == 1, result.stdout + result.stderr
    said = result.stderr.strip().splitlines()
    assert len(said) == lines, result.stderr
    return said[-1]


@pytest.mark.parametrize("mode", ["demo", "serve"])
def test_port_taken(mode: str, taken: int, tmp_path: Path) -> None:
    sentence = refusal(mode, "--port", taken, VAR_DIR=tmp_path)

    assert sentence == (
        f"Port {taken}, needed on 127.0.0.1, is taken by another program. "
        "Stop that one, or choose another with PORT=…"
    )


def test_port_of_the_simulator_taken(taken: int, tmp_path: Path) -> None:
    sentence = refusal("demo", "--port", taken - 1, VAR_DIR=tmp_path)

    assert f"Port {taken}, needed for the simulator on 127.0.0.1, is taken" in sentence


def test_port_that_is_none(tmp_path: Path) -> None:
    assert refusal("serve", "--port", 70000, VAR_DIR=tmp_path).startswith("70000 is not a port")


def test_host_that_is_not_ours(tmp_path: Path) -> None:
    sentence = refusal("serve", "--host", "192.0.2.1", "--port", 8000, VAR_DIR=tmp_path)

    assert sentence.startswith("Cannot listen on 192.0.2.1 port 8000: ")


def test_state_folder_that_cannot_be_written() -> None:
    """A folder that even root cannot write in."""
    sentence = refusal("serve", VAR_DIR="/proc/var")

    assert re.match(
        r"Cannot write in /proc/var \(.+\)\. Make it writable for you, or name", sentence
    )


def test_python_too_old() -> None:
    with pytest.raises(preflight.Refused, match=r"3\.11 or newer is needed; this is 3\.9\."):
        preflight.need_python((3, 9))


def test_two_runs_on_one_folder(tmp_path: Path) -> None:
    """Two schedulers would do everything twice."""
    lock = tmp_path / "run.lock"

    with (
        preflight.hold(lock),
        pytest.raises(preflight.Refused, match="Another run is using"),
        preflight.hold(lock, patience=0),
    ):
        pass


def test_production_without_its_secrets(tmp_path: Path) -> None:
    env = {
        "DATABASE_URL": "postgresql://pims@127.0.0.1:1/pims",
        "SECRET_KEY": "",
        "VAR_DIR": tmp_path,
    }

    assert refusal("serve", "--port", 18765, **env).startswith("SECRET_KEY is not set. ")


def test_database_that_does_not_answer(tmp_path: Path) -> None:
    env = {
        "DATABASE_URL": "postgresql://pims@127.0.0.1:1/pims",
        "SECRET_KEY": secrets.token_urlsafe(50),
        "FIELD_ENCRYPTION_KEYS": Fernet.generate_key().decode(),
        "VAR_DIR": tmp_path,
        **SAFE,
    }

    sentence = refusal("serve", "--port", 18765, **env)

    assert sentence.startswith("The database cannot be used (")
    assert sentence.endswith("Check DATABASE_URL and that the server runs.")


@pytest.mark.parametrize(
    ("id_", "unsafe"),
    [
        ("E002", {"HESKA_ALLOW_INSECURE": "1"}),
        ("E003", {"PUBLIC_BASE_URL": "http://lab.example.org"}),
        ("E006", {"FAILPOINT": "committed"}),
        ("E009", {"DEBUG": "1"}),
        ("E011", {"ALLOWED_HOSTS": "*"}),
        ("E012", {"INTAKE_MAX_BYTES": "10"}),
        ("E014", {"AUDIT_RETENTION_DAYS": "30"}),
        ("E018", {"SECRET_KEY": "changeme"}),
        ("E019", {"SECOND_FACTOR_REQUIRED": "0"}),
    ],
)
def test_an_unsafe_production_does_not_start(
    tmp_path: Path, id_: str, unsafe: dict[str, str]
) -> None:
    """Before anything is connected to: nothing listens at that database's address."""
    env = {
        "DATABASE_URL": "postgresql://pims@127.0.0.1:1/pims",
        "SECRET_KEY": secrets.token_urlsafe(50),
        "FIELD_ENCRYPTION_KEYS": Fernet.generate_key().decode(),
        "VAR_DIR": tmp_path,
        **SAFE,
        **unsafe,
    }

    assert refusal("serve", "--port", 18765, **env).startswith(f"pims.{id_}: ")


@pytest.mark.django_db  # so that it runs in the half on PostgreSQL
def test_a_production_whose_database_is_unsafe_does_not_start(tmp_path: Path) -> None:
    if not os.environ.get("DATABASE_URL"):
        pytest.skip("a production installation is one on PostgreSQL")
    with database_url() as database:
        env = {"DATABASE_URL": database, "VAR_DIR": tmp_path, **SAFE}
        env["SECRET_KEY"] = secrets.token_urlsafe(50)
        # The suite's own server does not sync.
        assert refusal("serve", "--port", 18765, **env, lines=2).startswith("pims.E015: ")
        env["SILENCED_SYSTEM_CHECKS"] = "pims.E015"
        with psycopg.connect(database, autocommit=True) as connection:
            connection.execute("DROP TRIGGER labs_labevent_no_truncate ON labs_labevent")
        assert refusal("serve", "--port", 18765, **env).startswith("pims.E017: ")
