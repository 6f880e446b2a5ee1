"""Heska's pages of the admin. alice runs clinic A, charlie clinic B."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone
from oauth2_provider.models import get_access_token_model, get_application_model

from integrations.heska import connections
from integrations.heska.models import Connection, InboundClient
from labs.models import Clinic, LabEvent, Role
from tests import factories

pytestmark = pytest.mark.django_db
CLIENTS, CONNECTIONS = "/admin/heska/inboundclient/", "/admin/heska/connection/"
SECRET = "the-secret-that-heska-gave"
AccessToken, Application = get_access_token_model(), get_application_model()


@pytest.fixture
def clinic() -> Clinic:
    return factories.make_clinic()


@pytest.fixture
def alice(clinic: Clinic) -> User:
    return factories.make_staff(Role.ADMIN, clinic=clinic, username="alice", is_staff=True)


@pytest.fixture
def client(alice: User) -> Client:
    client = Client()
    client.force_login(alice)
    return client


@pytest.fixture
def inbound(clinic: Clinic) -> InboundClient:
    connections.connect(
        acting_user=None, clinic=clinic, client_id="elm-street", client_secret=SECRET
    )
    inbound = InboundClient.objects.get(clinic=clinic)
    AccessToken.objects.create(
        application=inbound.application,
        token="t",
        expires=timezone.now() + timedelta(hours=1),
        scope="results:write",
    )
    return inbound


def test_secrets_are_nowhere_to_be_seen(client: Client, inbound: InboundClient) -> None:
    connection = Connection.objects.get()
    hashed = inbound.application.client_secret
    for url in (
        CONNECTIONS,
        f"{CONNECTIONS}{connection.pk}/change/",
        CLIENTS,
        f"{CLIENTS}{inbound.pk}/change/",
    ):
        response = client.get(url)
        assert response.status_code == 200
        page = response.content.decode()
        assert connection.client_id in page or inbound.application.client_id in page
        assert SECRET not in page
        assert hashed not in page
        assert "client_secret" not in page


def test_nothing_is_connected_or_changed_here(client: Client, inbound: InboundClient) -> None:
    for url in (f"{CONNECTIONS}add/", f"{CLIENTS}add/", f"{CLIENTS}{inbound.pk}/delete/"):
        assert client.get(url).status_code == 403
    connection = Connection.objects.get()
    client.post(f"{CONNECTIONS}{connection.pk}/change/", {"client_id": "stolen"})
    connection.refresh_from_db()
    assert connection.client_id == "elm-street"


def test_revoking_asks_first_then_takes_client_and_tokens(
    alice: User, clinic: Clinic, client: Client, inbound: InboundClient
) -> None:
    choice = {"action": "revoke", "_selected_action": inbound.pk}
    page = client.post(CLIENTS, choice).content.decode()
    assert inbound.application.client_id in page
    assert InboundClient.objects.exists()
    assert client.post(CLIENTS, {**choice, "confirmed": "yes"}).status_code == 302
    assert not InboundClient.objects.exists()
    assert not Application.objects.exists()
    assert not AccessToken.objects.exists()
    event = LabEvent.objects.get(verb="heska.client_revoked")
    assert (event.actor, event.clinic, event.data["tokens"]) == (alice, clinic, 1)


def test_another_clinics_rows_and_the_whole_installations_are_out_of_reach(
    client: Client, inbound: InboundClient
) -> None:
    connections.create_client(acting_user=None, clinic=None)
    shared = InboundClient.objects.get(clinic=None)
    assert shared.application.client_id not in client.get(CLIENTS).content.decode()
    charlie = factories.make_staff(
        Role.ADMIN, clinic=factories.make_clinic("Harbor"), is_staff=True
    )
    client.force_login(charlie)
    assert "elm-street" not in client.get(CONNECTIONS).content.decode()
    for pk in (inbound.pk, shared.pk):
        client.post(CLIENTS, {"action": "revoke", "_selected_action": pk, "confirmed": "yes"})
    assert InboundClient.objects.count() == 2


def test_the_oauth_librarys_own_pages_are_gone() -> None:
    client = Client()
    client.force_login(User.objects.create_superuser("root", password="x"))
    assert client.get("/admin/oauth2_provider/application/").status_code == 404


def test_a_superuser_revokes_the_whole_installations_client() -> None:
    client = Client()
    client.force_login(User.objects.create_superuser("root", password="x"))
    connections.create_client(acting_user=None, clinic=None)
    pk = InboundClient.objects.get().pk
    client.post(CLIENTS, {"action": "revoke", "_selected_action": pk, "confirmed": "yes"})
    assert not InboundClient.objects.exists()
