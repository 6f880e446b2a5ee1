from __future__ import annotations

import io
from collections.abc import Callable
from smtplib import SMTPException
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core import mail
from django.test import Client
from django.urls import reverse
from pypdf import PdfReader

from labs.models import Clinic, ClinicLogo, LabEvent, LabRequest
from labs.services.orders import moving
from labs.services.reviews import review
from tests import factories

SignIn = Callable[[User], Client]
EVIL = "<b>x</b><script>alert(1)</script>"


@pytest.fixture
def filed(clinic: Clinic, alice: User) -> LabRequest:
    owner = factories.make_owner(clinic, email="ana@example.org", phone="555-0101")
    patient = factories.make_patient(clinic, owner=owner)
    request = factories.make_request(patient, acting_user=alice, accepted=True)
    factories.make_result(request, factories.make_report([factories.make_run(key="one")]))
    return request


def address(request: LabRequest, name: str = "owner_report") -> str:
    return reverse(f"labs:{name}", args=[request.lab_report_id])


def shown(client: Client, url: str) -> str:
    return " ".join(client.get(url).content.decode().split())


def send(client: Client, request: LabRequest, **fields: Any) -> str:
    request.refresh_from_db()
    given = {
        "version": request.version,
        "address": request.patient.owner.email,
        "confirmed": "1",
        **fields,
    }
    answer = client.post(address(request, "send_report"), given, follow=True)
    return " ".join(answer.content.decode().split())


def text_of(content: bytes) -> str:
    pages = PdfReader(io.BytesIO(content)).pages
    return " ".join(" ".join(page.extract_text().split()) for page in pages)


def correct(request: LabRequest) -> None:
    run = factories.make_run([factories.make_row("WBC", "9.99")], key="one", status="corrected")
    factories.make_result(request, factories.make_report([run], version=2, status="corrected"))


def test_the_pdf_and_who_took_it(filed: LabRequest, alice: User, signed_in: SignIn) -> None:
    answer = signed_in(alice).post(address(filed, "owner_report_pdf"))
    assert answer["Content-Type"] == "application/pdf" and "no-store" in answer["Cache-Control"]
    found = text_of(answer.content)
    assert "Biscuit" in found and "6.13" in found and "4.00 - 16.53" in found
    assert "Not reviewed" in found and "page 1 of 1" in found
    event = LabEvent.objects.get(verb="result.printed")
    assert event.actor == alice and event.patient == filed.patient
    assert event.data["version"] == filed.version
    assert event.data["owner"] == filed.patient.owner_id
    assert list(event.data["results"]) == [str(filed.runs.get().pk)]
    assert "Ana" not in str(event.data) and "@" not in str(event.data)


def test_signed_with_the_note(filed: LabRequest, bob: User, signed_in: SignIn) -> None:
    review.sign(
        acting_user=bob, request=filed, expected_version=filed.version, note=f"Recheck {EVIL}"
    )
    found = text_of(signed_in(bob).post(address(filed, "owner_report_pdf")).content)
    assert "reviewed by Bob" in found and "Not reviewed" not in found
    assert f"Recheck {EVIL}" in found
    correct(filed)
    found = text_of(signed_in(bob).post(address(filed, "owner_report_pdf")).content)
    assert "Not reviewed" in found and "Recheck" not in found and "Corrected, was 6.13" in found


def test_it_goes_to_the_address_on_the_record_once_a_person_has_read_it(
    filed: LabRequest, alice: User, signed_in: SignIn
) -> None:
    client = signed_in(alice)
    assert "ana@example.org" in shown(client, address(filed))
    assert "tick that it is the owner" in send(client, filed, confirmed="")
    assert "The address on the record is ana@example.org now" in send(
        client, filed, address="else@example.org"
    )
    assert "changed while you were reading" in send(client, filed, version=filed.version - 1)
    assert mail.outbox == [] and not LabEvent.objects.filter(verb="result.sent").exists()
    assert "was sent to Example, Ana" in send(client, filed)
    message = mail.outbox[0]
    assert message.to == ["ana@example.org"] and filed.lab_report_id in message.subject
    _, content, kind = message.attachments[0]
    assert kind == "application/pdf" and "6.13" in text_of(content)
    event = LabEvent.objects.get(verb="result.sent")
    assert event.data["owner"] == filed.patient.owner_id and "@" not in str(event.data)


def test_a_refusing_mail_server_is_said_and_nobody_counts_as_having_it(
    filed: LabRequest, alice: User, signed_in: SignIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*args: Any, **kwargs: Any) -> int:
        raise SMTPException("no")

    monkeypatch.setattr("django.core.mail.EmailMessage.send", refuse)
    assert "did not take the report" in send(signed_in(alice), filed)
    correct(filed)
    assert "has an earlier report" not in shown(signed_in(alice), address(filed, "request"))


def test_after_a_correction_those_who_have_the_earlier_one_are_listed(
    filed: LabRequest, alice: User, bob: User, signed_in: SignIn
) -> None:
    client = signed_in(alice)
    send(client, filed)
    assert "has an earlier report" not in shown(client, address(filed, "request"))
    correct(filed)
    page = shown(client, address(filed, "request"))
    assert "Example, Ana has an earlier report of this" in page and "was corrected since" in page
    assert "Send the new one" in page
    send(client, filed)
    assert "has an earlier report" not in shown(client, address(filed, "request"))


def test_after_a_move_the_former_owner_is_listed_until_told(
    filed: LabRequest, alice: User, signed_in: SignIn
) -> None:
    client = signed_in(alice)
    client.post(address(filed, "owner_report_pdf"))
    other = factories.make_patient(filed.clinic, name="Rex")
    filed.refresh_from_db()
    moving.move_request(
        acting_user=alice, request=filed, patient=other, expected_version=filed.version, reason="x"
    )
    page = shown(client, address(filed, "request"))
    assert "It was said to be Biscuit" in page and "they must be told" in page
    assert "555-0101" in page and "Send the new one" not in page
    key = page.partition('name="key" value="')[2].partition('"')[0]
    client.post(address(filed, "told_owner"), {"key": "999999-1"})
    assert "has an earlier report" in shown(client, address(filed, "request"))
    client.post(address(filed, "told_owner"), {"key": key})
    assert "has an earlier report" not in shown(client, address(filed, "request"))
    # What changes again is said again.
    correct(filed)
    assert "has an earlier report" in shown(client, address(filed, "request"))


def test_a_stranger_gets_and_does_nothing(
    filed: LabRequest, charlie: User, signed_in: SignIn
) -> None:
    client = signed_in(charlie)
    assert client.get(address(filed)).status_code == 404
    for name in ("owner_report_pdf", "send_report", "told_owner"):
        assert client.post(address(filed, name), {"confirmed": "1"}).status_code == 404
        assert client.get(address(filed, name)).status_code == 405
    assert mail.outbox == []


def test_without_results_or_an_address_the_page_says_what_to_do(
    clinic: Clinic, alice: User, signed_in: SignIn
) -> None:
    patient = factories.make_patient(clinic, name=EVIL)
    request = factories.make_request(patient, accepted=True)
    client = signed_in(alice)
    assert "No results yet" in shown(client, address(request))
    answer = client.post(address(request, "owner_report_pdf"), follow=True)
    assert "no results to print yet" in answer.content.decode()
    factories.make_result(request)
    page = shown(client, address(request))
    assert "No e-mail address of Example, Ana is recorded" in page and EVIL not in page
    assert EVIL in text_of(client.post(address(request, "owner_report_pdf")).content)


def test_a_name_with_a_line_break_makes_no_header(
    filed: LabRequest, alice: User, signed_in: SignIn
) -> None:
    type(filed.patient).objects.filter(pk=filed.patient.pk).update(name="Rex\r\nBcc: x@example.org")
    assert "was sent to" in send(signed_in(alice), filed)
    assert "\n" not in mail.outbox[0].subject and mail.outbox[0].recipients() == ["ana@example.org"]


def test_head_and_logo_are_the_clinics_administrators_business(
    filed: LabRequest, ada: User, charlie: User, signed_in: SignIn
) -> None:
    from django.core.files.uploadedfile import SimpleUploadedFile

    ada.is_staff = True
    ada.save()
    client = signed_in(ada)
    url = reverse("admin:labs_clinic_change", args=[filed.clinic.pk])
    form = {
        "name": filed.clinic.name,
        "timezone": filed.clinic.timezone,
        "digest_at": "07:00",
        "automatic": "off",
        "idle_minutes": "30",
        "address": "1 Elm Street\nSpringfield",
        "phone": "555-0100",
        "email": "lab@example.org",
    }

    def upload(content: bytes) -> str:
        given = {**form, "logo": SimpleUploadedFile("logo.png", content)}
        return client.post(url, given, follow=True).content.decode()

    assert "must be a PNG or JPEG picture" in upload(b"<svg onload=alert(1)></svg>")
    assert not ClinicLogo.objects.exists()
    upload(factories.make_picture().content + b"<script>alert(1)</script>")
    kept = bytes(ClinicLogo.objects.get().content)
    assert kept.startswith(b"\x89PNG") and b"script" not in kept
    content = client.post(address(filed, "owner_report_pdf")).content
    assert b"/Image" in content and "1 Elm Street" in text_of(content)
    assert client.get(reverse("labs:logo"))["Content-Type"] == "image/png"
    assert signed_in(charlie).get(reverse("labs:logo")).status_code == 404
    client.post(url, {**form, "no_logo": "on"})
    assert not ClinicLogo.objects.exists()


def test_the_printed_page_says_on_each_sheet_whose_it_is_also_after_it_was_refreshed(
    filed: LabRequest, alice: User, bob: User, signed_in: SignIn
) -> None:
    page = shown(signed_in(alice), address(filed, "request"))
    head = page.partition('id="paperhead"')[2].partition("</div>")[0]
    assert f"Biscuit, {filed.patient.patient_id}" in head and "NOT REVIEWED" in head
    review.sign(acting_user=bob, request=filed, expected_version=filed.version)
    part = signed_in(alice).get(
        address(filed, "request"), {"v": "old", "seen": "1"}, headers={"HX-Request": "true"}
    )
    head = part.content.decode().partition('id="paperhead" hx-swap-oob="true"')[2]
    assert "Biscuit" in head and "NOT REVIEWED" not in head
