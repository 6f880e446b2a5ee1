from __future__ import annotations

from urllib.parse import urlencode

import pytest
from django.core.management import CommandError
from django.db import connection
from django.test import Client

from integrations.heska.connections import connect
from integrations.heska.models import Connection, InboundClient
from labs.errors import InvalidInput, NotAllowed
from labs.models import Clinic, LabEvent
from tests.factories import make_clinic, make_staff
from tests.shell import answer, said

pytestmark = pytest.mark.django_db

SECRET = "what Heska gave us"


def connected(clinic: Clinic, client_id: str = "heska-gave-this") -> dict[str, str]:
    args = ["--clinic", clinic.public_id, "--client-id", client_id, "--client-secret-stdin"]
    return answer("connect_heska", *args, stdin=SECRET + "\n")


def token_status(given: dict[str, str]) -> int:
    form = {"grant_type": "client_credentials"}
    form |= {key: given[key] for key in ("client_id", "client_secret")}
    kind = "application/x-www-form-urlencoded"
    response = Client().post("/api/oauth/token", urlencode(form), content_type=kind)
    return response.status_code


def test_connect_prints_once_what_heska_is_given() -> None:
    clinic = make_clinic(public_id="clinic-1")
    given = connected(clinic)
    assert list(given) == ["token_url", "unmatched_url", "client_id", "client_secret"]
    assert given["token_url"] == "http://localhost:8000/api/oauth/token"
    assert given["unmatched_url"] == "http://localhost:8000/api/unmatchedlabresults/clinic-1"
    assert len(given["client_secret"]) == 128
    assert token_status(given) == 200
    application = InboundClient.objects.get(clinic=clinic).application
    assert application.client_secret.startswith("client_secret$20000$")
    assert application.user is None
    verbs = list(LabEvent.objects.values_list("verb", "data"))
    assert verbs == [
        ("heska.client_created", {"client_id": given["client_id"]}),
        ("heska.connected", {}),
    ]


def test_heskas_secret_is_encrypted_at_rest() -> None:
    clinic = make_clinic()
    connected(clinic)
    with connection.cursor() as cursor:
        cursor.execute("SELECT client_secret FROM heska_connection")
        (stored,) = cursor.fetchone()
    assert SECRET not in stored
    assert Connection.objects.get(clinic=clinic).client_secret == SECRET


def test_connecting_again_rotates_without_a_gap() -> None:
    clinic = make_clinic()
    first = connected(clinic)
    Connection.objects.update(token="old token", refused_at="2026-01-01T00:00:00Z")
    second = connected(clinic, "a new id")
    assert token_status(first) == token_status(second) == 200
    stored = Connection.objects.get()
    assert (stored.client_id, stored.token, stored.refused_at) == ("a new id", "", None)


def test_a_client_id_belongs_to_one_clinic() -> None:
    connected(make_clinic())
    with pytest.raises(CommandError, match="Another clinic is connected"):
        connected(make_clinic("Oak"))
    assert InboundClient.objects.count() == 1


def test_empty_credentials_are_refused() -> None:
    clinic = make_clinic()
    args = ["--clinic", clinic.public_id, "--client-id", "x", "--client-secret-stdin"]
    with pytest.raises(CommandError, match="Both the client id and the secret"):
        said("connect_heska", *args, stdin="\n")
    assert not Connection.objects.exists()


def test_only_administrators_connect() -> None:
    clinic = make_clinic()
    alice = make_staff("technician", clinic=clinic)
    with pytest.raises(NotAllowed):
        connect(acting_user=alice, clinic=clinic, client_id="a", client_secret="b")
    ada = make_staff("admin", clinic=clinic)
    connect(acting_user=ada, clinic=clinic, client_id="a", client_secret="b")
    with pytest.raises(InvalidInput):
        connect(acting_user=ada, clinic=clinic, client_id="a" * 201, client_secret="b")


def test_a_client_for_the_whole_installation() -> None:
    given = answer("create_heska_client", "--vendor-wide")
    assert list(given) == ["token_url", "client_id", "client_secret"]
    assert InboundClient.objects.get().clinic is None
    assert token_status(given) == 200
    with pytest.raises(CommandError, match="--vendor-wide"):
        said("create_heska_client")
