"""What a reviewer found at the door: each failing case, as it was found."""

from __future__ import annotations

import json

import pytest
from django.test import Client

from integrations.heska.connections import create_client
from integrations.heska.services.filing import replay
from labs.models import Clinic, Message, UnmatchedResult
from tests.factories import make_clinic
from tests.heska import examples
from tests.heska.test_intake import token_for

pytestmark = pytest.mark.django_db


@pytest.fixture
def elm() -> Clinic:
    return make_clinic(public_id="clinic-elm")


@pytest.fixture
def token(client: Client, elm: Clinic) -> str:
    return str(token_for(client, create_client(acting_user=None, clinic=elm)))


def post(
    client: Client,
    token: str,
    body: bytes,
    *,
    to: str = "clinic-elm",
    kind: str = "application/json",
):
    return client.post(
        f"/api/unmatchedlabresults/{to}",
        body,
        content_type=kind,
        headers={"Authorization": f"Bearer {token}"},
    )


def orphan(run: str, **patient: str) -> bytes:
    body = json.loads(examples.raw("08"))
    body["MessageId"] = run
    body["Patient"] = patient
    body["Client"] = {}
    body["Tests"][0]["TestRunId"] = run
    return json.dumps(body).encode()


def test_two_animals_under_one_report_id_never_share_an_orphan(client: Client, token: str) -> None:
    for body in (
        orphan("run-0"),
        orphan("run-1", Name="Rex", PatientId="R-1"),
        orphan("run-2", Name="Bella", PatientId="B-9"),
    ):
        assert post(client, token, body).status_code == 201
    typed = [o.typed["patient_name"] for o in UnmatchedResult.objects.order_by("pk")]
    assert typed == ["", "Rex", "Bella"]
    assert all(o.runs.count() == 1 for o in UnmatchedResult.objects.all())


def test_nameless_correction_goes_to_the_orphan_that_holds_its_run(
    client: Client, token: str
) -> None:
    post(client, token, orphan("run-1", Name="Rex", PatientId="R-1"))
    post(client, token, orphan("run-2", Name="Bella", PatientId="B-9"))
    body = json.loads(orphan("run-2"))
    body |= {"MessageId": "later", "ReportVersion": 2, "Status": "Corrected"}
    del body["Patient"], body["Client"]
    assert post(client, token, json.dumps(body).encode()).status_code == 201
    bella = UnmatchedResult.objects.get(typed__patient_name="Bella")
    assert bella.runs.get().versions.count() == 2
    assert UnmatchedResult.objects.count() == 2


def test_replay_does_not_override_the_refusal_of_another_clinic_s_path(
    client: Client, token: str
) -> None:
    make_clinic(public_id="clinic-oak")
    refused = post(client, token, examples.raw("08"), to="clinic-oak")
    assert refused.status_code == 403
    message = Message.objects.get(receipt_id=refused.json()["ReceiptId"])
    replay(message.pk)
    message.refresh_from_db()
    assert message.state == "quarantined"
    assert not UnmatchedResult.objects.exists()


def test_crash_before_the_refusal_leaves_nothing_for_the_sweep_to_file(
    client: Client, token: str
) -> None:
    make_clinic(public_id="clinic-oak")
    refused = post(client, token, examples.raw("08"), to="clinic-oak")
    Message.objects.update(state="received")
    replay(Message.objects.get(receipt_id=refused.json()["ReceiptId"]).pk)
    assert not UnmatchedResult.objects.exists()


def test_sender_that_mends_its_header_is_filed_and_not_called_a_duplicate(
    client: Client, token: str
) -> None:
    kind = "application/json; charset=iso-8859-1"
    refused = post(client, token, examples.raw("08"), kind=kind)
    assert refused.status_code == 415
    mended = post(client, token, examples.raw("08"))
    assert mended.status_code == 201
    assert mended.json() == {"ReceiptId": refused.json()["ReceiptId"], "Status": "Stored"}
    again = post(client, token, examples.raw("08"))
    assert (again.status_code, again.json()["Status"]) == (200, "Duplicate")


def test_what_is_still_not_understood_is_a_duplicate_as_before(client: Client, token: str) -> None:
    first = post(client, token, b'{"a": 1}')
    again = post(client, token, b'{"a": 1}')
    assert (first.status_code, again.status_code) == (202, 200)
    assert again.json() == {"ReceiptId": first.json()["ReceiptId"], "Status": "Duplicate"}
