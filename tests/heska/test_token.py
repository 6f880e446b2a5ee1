"""The token endpoint: as form, JSON, PascalCase and Basic; and nothing that breaks it."""

from __future__ import annotations

import base64
import json
from datetime import timedelta

import pytest
from django.utils import timezone
from oauth2_provider.models import get_access_token_model

from integrations.heska.connections import create_client
from tests.factories import make_clinic

pytestmark = pytest.mark.django_db
URLS = ["/api/oauth/token", "/api/oauth/token/"]
FORM = "application/x-www-form-urlencoded"


@pytest.fixture
def access():
    return create_client(acting_user=None, clinic=make_clinic())


def post(client, body, content_type=FORM, url=URLS[0], **headers):
    return client.generic("POST", url, body, content_type=content_type, headers=headers)


def form(access, **fields):
    given = {"grant_type": "client_credentials", "client_id": access.client_id}
    given |= {"client_secret": access.client_secret, **fields}
    return "&".join(f"{key}={value}" for key, value in given.items() if value is not None)


@pytest.mark.parametrize("url", URLS)
def test_form(client, access, url):
    answer = post(client, form(access), url=url)
    assert answer.status_code == 200
    body = answer.json()
    assert (body["token_type"], body["expires_in"]) == ("Bearer", 3600)
    assert body["scope"] == "results:write"
    assert len(body["access_token"]) >= 30
    assert "refresh_token" not in body
    assert answer["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    "names",
    [
        ("grant_type", "client_id", "client_secret"),
        ("GrantType", "ClientId", "ClientSecret"),
        ("grantType", "clientId", "clientSecret"),
    ],
)
@pytest.mark.parametrize("kind", ["json", "form"])
def test_json_and_every_spelling(client, access, names, kind):
    values = dict(
        zip(names, ("client_credentials", access.client_id, access.client_secret), strict=True)
    )
    if kind == "json":
        answer = post(client, json.dumps(values), "application/json; charset=utf-8")
    else:
        answer = post(client, "&".join(f"{k}={v}" for k, v in values.items()))
    assert answer.status_code == 200, answer.content


def test_basic(client, access):
    pair = base64.b64encode(f"{access.client_id}:{access.client_secret}".encode()).decode()
    answer = post(client, "grant_type=client_credentials", authorization=f"Basic {pair}")
    assert answer.status_code == 200
    answer = post(client, "", authorization=f"basic {pair}")
    assert answer.status_code == 200


def test_the_token_is_stored_hashed_only(client, access):
    token = post(client, form(access)).json()["access_token"]
    row = get_access_token_model().objects.get()
    assert token not in json.dumps(
        {f.attname: str(getattr(row, f.attname)) for f in row._meta.concrete_fields}
    )
    assert row.user is None
    assert row.expires <= timezone.now() + timedelta(hours=1)


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"client_secret": "wrong"}, "invalid_client"),
        ({"client_id": "nobody"}, "invalid_client"),
        ({"client_id": "no%00body"}, "invalid_client"),
        ({"client_secret": "no%00body"}, "invalid_client"),
        ({"client_id": "%ff%fe"}, "invalid_client"),
        ({"client_id": None, "client_secret": None}, "invalid_client"),
        ({"client_secret": None}, "invalid_client"),
        ({"scope": "admin"}, "invalid_scope"),
        ({"scope": "results:write admin"}, "invalid_scope"),
        ({"grant_type": "password"}, "invalid_request"),
        ({"grant_type": "magic"}, "unsupported_grant_type"),
    ],
)
def test_refusals_are_those_of_rfc_6749(client, access, fields, error):
    answer = post(client, form(access, **fields))
    assert answer.status_code in (400, 401)
    assert answer.json()["error"] == error
    assert "access_token" not in answer.json()


def test_credentials_that_no_database_takes_are_just_wrong(client, access):
    for secret in ("\\ud800", "\\u0000", "x" * 9000):
        body = f'{{"client_id": "{access.client_id}", "client_secret": "{secret}"}}'
        answer = post(client, body, "application/json")
        assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")
    answer = post(client, '{"client_id": "\\ud800\\u0000", "client_secret": "x"}', "text/json")
    assert answer.status_code == 401


@pytest.mark.parametrize("body", ["{", "[]", "null", '"x"', '{"a": NaN}', "\xff"])
def test_json_that_is_no_object_is_an_invalid_request(client, access, body):
    answer = post(client, body, "application/json")
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


def test_only_post(client):
    for method in ("get", "put", "delete", "patch", "options", "head"):
        answer = getattr(client, method)(URLS[0])
        assert answer.status_code == 405
        assert answer["Allow"] == "POST"


def test_a_deleted_client_gets_no_token(client, access):
    from integrations.heska.models import InboundClient

    row = InboundClient.objects.get()
    application = row.application
    row.delete()
    application.delete()
    assert post(client, form(access)).status_code == 401
