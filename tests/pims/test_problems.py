from __future__ import annotations

import json
from typing import Any

import pytest
from django.core.exceptions import PermissionDenied, RequestDataTooBig
from django.db import OperationalError
from django.http import Http404
from django.test import Client, RequestFactory
from rest_framework import exceptions

from labs.errors import InvalidInput, LabError, NotAllowed, Stale
from pims import problems


def handled(exc: Exception) -> tuple[int, dict[str, Any], Any]:
    response = problems.exception_handler(exc, {})
    assert response is not None
    assert response.content_type == "application/problem+json"
    assert response.data["status"] == response.status_code
    return response.status_code, response.data, response.headers


@pytest.mark.parametrize(
    ("exc", "status", "type_"),
    [
        (Http404(), 404, "about:blank#not-found"),
        (PermissionDenied(), 403, "about:blank#permission-denied"),
        (RequestDataTooBig("…"), 413, "about:blank#too-large"),
        (exceptions.MethodNotAllowed("GET"), 405, "about:blank#method-not-allowed"),
        (exceptions.UnsupportedMediaType("text/xml"), 415, "about:blank#unsupported-media-type"),
        (InvalidInput("No such test."), 422, "about:blank#invalid"),
        (NotAllowed("Only a vet may."), 403, "about:blank#not-allowed"),
        (Stale("Somebody was faster."), 409, "about:blank#stale"),
        (LabError("It cannot be."), 400, "about:blank#error"),
        (OperationalError("database is locked"), 503, "about:blank#try-later"),
    ],
)
def test_every_kind_has_its_status_and_type(exc: Exception, status: int, type_: str) -> None:
    found, body, _ = handled(exc)

    assert (found, body["type"]) == (status, type_)
    assert body["title"]


def test_the_domain_speaks_for_itself() -> None:
    assert handled(InvalidInput("No such test."))[1]["title"] == "No such test."


def test_a_database_error_says_come_again_and_nothing_of_itself() -> None:
    _, body, headers = handled(OperationalError("could not connect to server at 10.0.0.5"))

    assert headers["Retry-After"] == "30"
    assert "10.0.0.5" not in json.dumps(body)


def test_throttled_says_when() -> None:
    assert handled(exceptions.Throttled(wait=12.2))[2]["Retry-After"] == "13"


def test_validation_errors_by_field() -> None:
    _, body, _ = handled(exceptions.ValidationError({"name": ["Required."]}))

    assert body["errors"] == {"name": ["Required."]}


def test_what_nobody_foresaw_is_left_to_django() -> None:
    assert problems.exception_handler(ValueError("?"), {}) is None


def test_unknown_address_below_api(client: Client) -> None:
    response = client.get("/api/nothing/here")

    assert response.status_code == 404
    assert response.headers["Content-Type"] == "application/problem+json"
    assert response.json() == {"type": "about:blank#not-found", "title": "Not found", "status": 404}


def test_unknown_address_elsewhere_is_a_page(client: Client) -> None:
    response = client.get("/nothing/here")

    assert response.status_code == 404
    assert response.headers["Content-Type"].startswith("text/html")


def test_wrong_host(client: Client) -> None:
    response = client.get("/api/nothing", headers={"host": "evil.example"})

    assert response.status_code == 400
    assert response.headers["Content-Type"] == "application/problem+json"


@pytest.mark.parametrize(
    ("exc", "status"), [(ValueError("secret"), 500), (OperationalError("secret"), 503)]
)
@pytest.mark.parametrize("path", ["/api/x", "/x"])
def test_server_error(rf: RequestFactory, path: str, exc: Exception, status: int) -> None:
    try:
        raise exc
    except Exception:
        response = problems.server_error(rf.get(path))

    assert response.status_code == status
    assert ("Retry-After" in response.headers) == (status == 503)
    assert b"secret" not in response.content
    assert (response.headers["Content-Type"] == "application/problem+json") == (path == "/api/x")
