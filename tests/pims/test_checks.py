"""Misconfigurations, by the id that an operator may look up or silence."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.core.checks import run_checks
from django.db import connection, connections
from pytest_django.fixtures import Settings


def ids(**options: object) -> set[str]:
    return {message.id for message in run_checks(**options) if str(message.id).startswith("pims.")}


def deploy_ids() -> set[str]:
    return ids(include_deployment_checks=True)


@pytest.fixture
def production(settings: Settings) -> Settings:
    settings.HESKA_ALLOW_INSECURE = False
    settings.PUBLIC_BASE_URL = "https://lab.example.org"
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
