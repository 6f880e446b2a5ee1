"""Misconfigurations, by the id that an operator may look up or silence."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
import time_machine
from cryptography.fernet import Fernet
from django.core.checks import run_checks
from django.db import connection, connections
from django.utils import timezone
from pytest_django.fixtures import Settings

from labs.models import append_only, kept_bodies
from pims.run import ROOT


def ids(**options: object) -> set[str]:
    return {message.id for message in run_checks(**options) if str(message.id).startswith("pims.")}


def deploy_ids() -> set[str]:
    return ids(include_deployment_checks=True)


@pytest.fixture
def production(settings: Settings) -> Settings:
    settings.HESKA_ALLOW_INSECURE = False
    settings.PUBLIC_BASE_URL = "https://lab.example.org"
    # The suite's own are generated, as a demo's.
    settings.SECRET_KEY = "given in the environment, and long enough for everybody to be content"
    settings.FIELD_ENCRYPTION_KEYS = [Fernet.generate_key().decode()]
    return settings


def test_a_good_installation_has_none(production: Settings) -> None:
    assert deploy_ids() == set()


@pytest.fixture
def sqlite(db: None) -> Iterator[None]:
    if connection.vendor != "sqlite":
        pytest.skip("SQLite's own settings")
    yield


def test_sqlite_runs_as_it_must(sqlite: None) -> None:
    assert ids(databases=["default"]) == set()


@pytest.mark.parametrize("pragma", ["synchronous=NORMAL"])
@pytest.mark.django_db(transaction=True)
def test_e001_sqlite_pragma_not_in_force(sqlite: None, pragma: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"PRAGMA {pragma}")
    try:
        assert ids(databases=["default"]) == {"pims.E001"}
    finally:
        connection.close()  # the next one is made with the pragmas of the settings


def test_e001_sqlite_without_immediate(sqlite: None, monkeypatch: pytest.MonkeyPatch) -> None:
    # Not on django.db.connection: pytest's undo would delete the attribute through that proxy, and
    # whichever test comes next in this process could open no transaction.
    monkeypatch.setattr(connections["default"], "transaction_mode", None)

    assert ids(databases=["default"]) == {"pims.E001"}


def test_e002_insecure_heska(production: Settings) -> None:
    production.HESKA_ALLOW_INSECURE = True

    assert "pims.E002" in deploy_ids()


def test_e003_public_address_without_tls(production: Settings) -> None:
    production.PUBLIC_BASE_URL = "http://lab.example.org"

    assert deploy_ids() == {"pims.E003"}


@pytest.mark.parametrize(
    "address",
    [
        "https://lab.example.org/pims",
        "https://lab.example.org?x=1",
        "https://user@lab.example.org",
        "lab.example.org",
        "ftp://lab.example.org",
        "https://",
    ],
)
def test_e004_public_address_is_more_or_less_than_one(production: Settings, address: str) -> None:
    production.PUBLIC_BASE_URL = address

    assert "pims.E004" in ids()


@pytest.mark.parametrize("keys", [[], ["short"], ["not base64 at all, and of some length here"]])
def test_e005_encryption_keys(production: Settings, keys: list[str]) -> None:
    production.FIELD_ENCRYPTION_KEYS = keys

    assert ids() == {"pims.E005"}


def test_e006_fail_point(production: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAILPOINT", "committed")

    assert deploy_ids() == {"pims.E006"}


def test_e007_token_encoding(production: Settings) -> None:
    production.HESKA_TOKEN_ENCODING = "xml"

    assert ids() == {"pims.E007"}


def test_e008_environment(production: Settings) -> None:
    production.HESKA_ENVIRONMENT = "prod"

    assert ids() == {"pims.E008"}


@pytest.mark.parametrize(
    ("number", "name", "value"),
    [
        ("E009", "DEBUG", True),
        ("E011", "ALLOWED_HOSTS", ["*"]),
        ("E011", "ALLOWED_HOSTS", ["lab.example.org", ".example.org"]),
        ("E012", "INTAKE_MAX_BYTES", 1000),
        ("E012", "INTAKE_MAX_BYTES", 10**10),
        ("E012", "DATA_UPLOAD_MAX_MEMORY_SIZE", None),
        ("E013", "TIME_ZONE", "America/Chicago"),
        ("E013", "USE_TZ", False),
        ("E014", "AUDIT_RETENTION_DAYS", 30),
        ("E018", "SECRET_KEY", "only a word"),
        ("E018", "SECRET_KEY", "ab" * 40),
        ("E018", "SECRET_KEY", f"django-insecure-{'0123456789' * 5}"),
        ("E019", "SECOND_FACTOR_REQUIRED", False),
    ],
)
def test_one_setting_that_is_wrong(
    production: Settings, number: str, name: str, value: object
) -> None:
    setattr(production, name, value)

    assert deploy_ids() == {f"pims.{number}"}


@pytest.mark.parametrize("name", ["SECRET_KEY", "FIELD_ENCRYPTION_KEYS"])
def test_e010_a_demo_s_own_secret(production: Settings, tmp_path: Path, name: str) -> None:
    production.VAR_DIR = tmp_path
    (tmp_path / "secrets").mkdir()
    value = getattr(production, name)
    file = tmp_path / "secrets" / name.lower()
    file.write_text("another one")
    assert deploy_ids() == set()
    file.write_text(value if isinstance(value, str) else ",".join(value))

    assert deploy_ids() == {"pims.E010"}


def database_ids() -> set[str]:
    return ids(include_deployment_checks=True, databases=["default"], tags=["database"])


@pytest.mark.django_db
def test_a_good_database_has_none() -> None:
    assert database_ids() - {"pims.E015"} == set()  # the suite's own server does not sync


@pytest.mark.django_db
def test_e015_weak_durability() -> None:
    if connection.vendor != "postgresql":
        pytest.skip("E001 asks SQLite")
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL synchronous_commit = off")

    assert "pims.E015" in database_ids()


@pytest.mark.django_db
def test_e016_two_clocks(monkeypatch: pytest.MonkeyPatch) -> None:
    if connection.vendor != "postgresql":
        pytest.skip("SQLite has our own clock")
    with time_machine.travel(timezone.now() + timedelta(minutes=5)):
        assert "pims.E016" in database_ids()


@pytest.mark.parametrize("which", range(5))
@pytest.mark.django_db
def test_e017_audit_without_its_guard(which: int) -> None:
    with connection.cursor() as cursor:
        postgresql = connection.vendor == "postgresql"
        audit = append_only.ON_POSTGRESQL if postgresql else append_only.TRIGGERS[1:5]
        name = [*audit, kept_bodies.NAME][which]
        on = f" ON {name[: name.index('_', 5)]}" if postgresql else ""
        cursor.execute(f"DROP TRIGGER {name}{on}")
    try:
        assert "pims.E017" in database_ids()
    finally:
        append_only.install(connection)
        kept_bodies.install(connection)


def test_every_id_has_a_test() -> None:
    """By its id, in this file: an id that nobody has seen may be one that never comes."""
    source = "".join(
        (ROOT / "pims" / name).read_text() for name in ("checks.py", "deploy_checks.py")
    )
    known = set(re.findall(r"\bE0\d\d\b", source))
    assert len(known) == 19
    own = Path(__file__).read_text()
    tested = set(re.findall(r"def test_(e0\d\d)_", own)) | set(re.findall(r'\("(E0\d\d)", "', own))
    assert known - {each.upper() for each in tested} == set()
