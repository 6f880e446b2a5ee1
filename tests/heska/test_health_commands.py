"""What the set-up page says, for a terminal and for a monitoring system."""

from __future__ import annotations

import shutil
from collections import namedtuple
from datetime import timedelta

import pytest
from django.core.management import CommandError
from django.db import DatabaseError
from django.utils import timezone

from labs.models import LabRequest, Submission
from pims.management.commands import health as command
from tests import factories
from tests.heska.conftest import TOKEN
from tests.shell import answer, lines, said

pytestmark = pytest.mark.django_db


def well(connected):
    """A clinic without trouble."""
    from django.test import Client

    from integrations.heska.connections import create_client

    clinic = factories.make_clinic(public_id="elm")
    connected(clinic)
    from integrations.heska.models import InboundClient

    InboundClient.objects.all().delete()
    access = create_client(acting_user=None, clinic=clinic)
    form = {
        "grant_type": "client_credentials",
        "client_id": access.client_id,
        "client_secret": access.client_secret,
    }
    given = Client().post("/api/oauth/token", form, content_type="application/json")
    assert given.status_code == 200
    return clinic


def test_health_of_all_and_of_one(connected):
    well(connected)
    found = answer("health", "--clinic", "elm")
    assert found["well"] and found["commits"] and found["alarms"] == []
    assert found["disk_free_percent"] > 0
    (clinic,) = found["clinics"]
    assert (clinic["clinic"], clinic["troubles"]) == ("elm", [])
    assert clinic["ways"]["token_in"]["good_at"] and not clinic["ways"]["token_in"]["fails"]
    assert "elm: 0 in the queue" in said("health")


def test_health_ends_with_1_where_somebody_should_look(connected):
    clinic = well(connected)
    request = factories.make_request(factories.make_patient(clinic))
    Submission.objects.update(not_before=timezone.now() - timedelta(minutes=7))
    with pytest.raises(CommandError, match="elm: An order has been due for 7 min"):
        said("health")
    Submission.objects.filter(request=request).update(state="accepted")
    assert said("health")
    # What is old is said, and wakes nobody.
    moment = timezone.now() - timedelta(days=8)
    Submission.objects.update(accepted_at=moment)
    LabRequest.objects.update(requested_at=moment, state="accepted")
    found = answer("health")
    assert found["clinics"][0]["never_came"] == 1
    assert [each["code"] for each in found["clinics"][0]["troubles"]] == ["missing"]


def test_health_commits_a_row(connected, monkeypatch):
    well(connected)

    def read_only() -> None:
        raise DatabaseError("cannot execute UPDATE in a read-only transaction")

    monkeypatch.setattr(command, "commit_a_row", read_only)
    with pytest.raises(CommandError, match=r"No row can be committed\. cannot execute UPDATE"):
        said("health")


def test_health_says_when_the_disk_is_nearly_full(connected, monkeypatch):
    well(connected)
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(100, 86, 14))
    with pytest.raises(CommandError, match="14 % of the disk of VAR_DIR is free"):
        said("health")


def test_check_heska(connected, fake_heska, settings):
    clinic = factories.make_clinic(public_id="elm")
    with pytest.raises(CommandError, match="Enter the client id and secret"):
        said("check_heska", "--clinic", "elm")
    connected(clinic)
    settings.PUBLIC_BASE_URL = fake_heska.url
    with pytest.raises(CommandError, match="The public address can't be reached"):
        said("check_heska", "--clinic", "elm")
    fake_heska.on("/oauth/token", (401, b"Invalid User or Password", {}), (200, TOKEN, {}))
    with pytest.raises(CommandError, match="Heska gives no token"):
        said("check_heska", "--clinic", "elm")


@pytest.mark.django_db(transaction=True)
def test_check_heska_where_all_is_well(connected, live_server, settings):
    connected(factories.make_clinic(public_id="elm"))
    settings.PUBLIC_BASE_URL = live_server.url
    found = answer("check_heska", "--clinic", "elm")
    assert found["token"][0]["ok"] and found["public_address"]["ok"]
    assert "this installation answers there" in said("check_heska", "--clinic", "elm")


def test_list_missing(connected):
    clinic = factories.make_clinic(public_id="elm")
    request = factories.make_request(factories.make_patient(clinic), accepted=True)
    LabRequest.objects.update(requested_at=timezone.now() - timedelta(hours=25))
    (row,) = lines("list_missing", "--clinic", "elm")
    assert (row["lab_report_id"], row["test"]) == (request.lab_report_id, "HHEM-1")
    assert request.lab_report_id in said("list_missing", "--clinic", "elm")
