"""The front desk reads what a veterinarian has reviewed, and nothing before."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from labs.models import Attachment, Clinic, LabRequest, Role
from labs.services.reviews import review
from tests import factories

SignIn = Callable[[User], Client]
EARLIER, SIGNED, WAITING = "71.117", "72.227", "73.337"


@pytest.fixture
def desk(clinic: Clinic, signed_in: SignIn) -> Client:
    return signed_in(factories.make_staff(Role.RECEPTION, clinic=clinic, username="desk"))


def result(clinic: Clinic, value: str, **fields: object) -> LabRequest:
    """Of one and the same animal."""
    patient = clinic.patient_set.first() or factories.make_patient(clinic)
    request = factories.make_request(patient, accepted=True)
    file = factories.make_picture(attachment_id=value, file_name=f"{value}.png")
    run = factories.make_run([factories.make_row(value=value)], files=(file,))
    factories.make_result(request, factories.make_report([run]))
    return request


def sign(request: LabRequest, vet: User) -> None:
    request.refresh_from_db()
    review.sign(acting_user=vet, request=request, expected_version=request.version)


def test_what_is_not_charged_is_in_its_navigation(
    clinic: Clinic, bob: User, desk: Client, signed_in: SignIn
) -> None:
    address = reverse("labs:reconciliation")
    tab = f'<a href="{address}" id="tab-reconciliation" aria-current="page">'
    assert tab in desk.get(address).content.decode()
    assert "tab-reconciliation" in desk.get(reverse("labs:patients")).content.decode()
    assert "tab-reconciliation" not in signed_in(bob).get(address).content.decode()


def test_unreviewed_values_are_nowhere(clinic: Clinic, bob: User, desk: Client) -> None:
    waiting, signed, earlier = (result(clinic, each) for each in (WAITING, SIGNED, EARLIER))
    sign(signed, bob)
    sign(earlier, bob)
    pages = [
        reverse("labs:patients"),
        reverse("labs:patient", args=[signed.patient.uuid]),
        reverse("labs:trends", args=[signed.patient.uuid]),
        reverse("labs:request", args=[signed.lab_report_id]),
        reverse("labs:request", args=[waiting.lab_report_id]),
        reverse("labs:worklist"),
    ]
    shown = {url: desk.get(url, follow=True).content.decode() for url in pages}
    for url, page in shown.items():
        assert WAITING not in page, url
    assert SIGNED in shown[pages[1]] or EARLIER in shown[pages[1]]
    assert SIGNED in shown[pages[3]]
    assert "has not been reviewed" in shown[pages[4]]
    sign(waiting, bob)
    assert WAITING in desk.get(pages[4]).content.decode()


def test_a_correction_shuts_the_page_until_it_is_signed(
    clinic: Clinic, bob: User, desk: Client
) -> None:
    request = result(clinic, SIGNED)
    sign(request, bob)
    page = reverse("labs:request", args=[request.lab_report_id])
    assert desk.get(page).status_code == 200
    run = factories.make_run([factories.make_row(value=WAITING)], key=request.runs.get().run_key)
    factories.make_result(request, factories.make_report([run], version=2, status="corrected"))
    assert desk.get(page).status_code == 403
    polled = desk.get(f"{page}?v=x", headers={"HX-Request": "true"})
    assert polled.status_code == 403 and WAITING not in polled.content.decode()


def test_files_only_of_reviewed_results(clinic: Clinic, bob: User, desk: Client) -> None:
    request = result(clinic, SIGNED)
    file = reverse("labs:attachment", args=[Attachment.objects.get().uuid])
    assert desk.get(file).status_code == 403
    sign(request, bob)
    assert desk.get(file).status_code == 200


def test_a_vet_here_who_is_at_the_desk_there_sees_there_what_the_desk_sees(
    clinic: Clinic, bob: User, signed_in: SignIn
) -> None:
    other = factories.make_clinic("Zebra Clinic")
    other.membership_set.create(user=bob, role=Role.RECEPTION)
    there = result(other, WAITING)
    orphan = factories.make_unmatched(other)
    client = signed_in(bob)
    for url in (
        reverse("labs:request", args=[there.lab_report_id]),
        reverse("labs:attachment", args=[Attachment.objects.get().uuid]),
        reverse("labs:match", args=[orphan.uuid]),
    ):
        assert client.get(url).status_code == 403, url


def test_the_desk_keeps_the_records_and_orders_nothing(clinic: Clinic, desk: Client) -> None:
    patient = factories.make_patient(clinic)
    page = desk.get(reverse("labs:patient", args=[patient.uuid])).content.decode()
    assert reverse("labs:edit_patient", args=[patient.uuid]) in page
    assert reverse("labs:new_request") not in page
    assert reverse("labs:unmatched") not in page
    order = {"patient": str(patient.uuid), "panels": "HHEM-1", "priority": "routine"}
    assert desk.post(reverse("labs:new_request"), order).status_code == 403
    assert not LabRequest.objects.exists()
