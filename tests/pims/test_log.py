from __future__ import annotations

import logging

import pytest
from django.test import Client

from pims.log import OneLine, current_id


def line(message: str, *args: object, **extra: object) -> str:
    record = logging.LogRecord("labs.x", logging.INFO, __file__, 1, message, args, None)
    return OneLine("%(levelname)s [%(id)s] %(message)s").format(record)


def test_a_record_is_one_line_with_its_id() -> None:
    token = current_id.set("abc")
    try:
        assert line("one\ntwo\r\n%s", "INFO [x] forged") == (
            "INFO [abc] one\\ntwo\\r\\nINFO [x] forged"
        )
    finally:
        current_id.reset(token)


@pytest.mark.parametrize(
    "text",
    [
        "Not Found: /api/labresults/CANARY",
        'POST "/api/labresults/CANARY/" failed',
        "/api/unmatchedlabresults/CANARY?x=1",
        "Authorization: Bearer CANARY",
        "client_secret=CANARY&grant_type=client_credentials",
        "{'client_secret': 'CANARY', 'a': 1}",
        '{"ClientSecret":"CANARY"}',
        "Ocp-Apim-Subscription-Key: CANARY",
        '{"access_token": "CANARY"}',
        "password=CANARY",
    ],
)
def test_secrets_are_masked(text: str) -> None:
    assert "CANARY" not in line("%s", text)


def test_the_address_is_logged_as_its_pattern(
    client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="pims.access")

    client.get("/api/labresults/k9d2c7e1f0a84bX5mQ2rTz")

    (record,) = [r for r in caplog.records if r.name == "pims.access"]
    assert "k9d2c7e1" not in record.getMessage()
    assert "api/labresults/<" in record.getMessage()


def test_probes_and_empty_polls_are_not_worth_a_line(
    client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="pims.access")

    client.get("/healthz")

    assert [r for r in caplog.records if r.name == "pims.access"] == []


def test_request_id_is_taken_over_where_it_is_harmless(client: Client) -> None:
    given = client.get("/healthz", headers={"X-Request-ID": "abcdef-123456"})
    forged = client.get("/healthz", headers={"X-Request-ID": "x y\n[admin]"})

    assert given.headers["X-Request-ID"] == "abcdef-123456"
    assert len(forged.headers["X-Request-ID"]) == 16


def test_a_row_that_the_database_refused_is_not_repeated() -> None:
    """PostgreSQL's DETAIL is all of the row: an owner's name and phone."""
    said = line("violates check\nDETAIL:  Failing row contains (1, Ana,\nExample).\n\nThe above")
    assert "Ana" not in said and "Example" not in said
    assert "violates check" in said and "The above" in said
