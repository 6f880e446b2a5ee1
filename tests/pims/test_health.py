from __future__ import annotations

import pytest
from django.db import Error, connection
from django.test import Client

from pims import health


@pytest.fixture(autouse=True)
def _nothing_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "_succeeded_at", float("-inf"))


def test_healthz_needs_no_database(client: Client) -> None:
    """No `db` mark: pytest-django refuses any query."""
    response = client.get("/healthz")

    assert response.status_code == 200
    assert response.json() == {"status": "ok"}


@pytest.mark.django_db(transaction=True)
def test_readyz_commits_a_row(client: Client) -> None:
    response = client.get("/readyz")

    assert response.status_code == 200
    assert "no-store" in response.headers["Cache-Control"]


@pytest.mark.django_db(transaction=True)
def test_readyz_says_503_when_nothing_can_be_written(client: Client) -> None:
    def read_only(execute, sql, params, many, context):  # type: ignore[no-untyped-def]
        if sql.startswith("UPDATE"):
            raise Error("attempt to write a readonly database")
        return execute(sql, params, many, context)

    with connection.execute_wrapper(read_only):
        response = client.get("/readyz")

    assert response.status_code == 503
    assert response.headers["Retry-After"] == "30"
    assert response.headers["Content-Type"] == "application/problem+json"
    assert "readonly" not in response.text


@pytest.mark.django_db(transaction=True)
def test_a_success_is_believed_for_a_second(client: Client, django_assert_num_queries) -> None:
    client.get("/readyz")

    with django_assert_num_queries(0):
        assert client.get("/readyz").status_code == 200
