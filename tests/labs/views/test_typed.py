"""Results that a person types in: read like delivered ones, and marked wherever they are shown."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from uuid import uuid4

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import IntegrityError, transaction
from django.http import HttpResponse
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pypdf import PdfReader

from labs.errors import InvalidInput, NotAllowed, Stale
from labs.models import (
    Analyte,
    Clinic,
    LabEvent,
    LabRequest,
    LabResult,
    Message,
    Observation,
    Panel,
    Patient,
    RequestState,
)
from labs.services.intake import typed
from labs.services.intake.typed import Line
from labs.services.orders import moving
from labs.services.registry import merging
from labs.services.reviews import review
from tests import factories

SignIn = Callable[[User], Client]


@pytest.fixture
def patient(clinic: Clinic) -> Patient:
    return factories.make_patient(clinic)


def fields(panel: str, **lines: tuple[str, str, str]) -> dict[str, str]:
    """By code of the analyte: value, low, high."""
    found = {"panel": panel, "run_at": "2026-01-02T10:00"}
    for code, texts in lines.items():
        pk = Analyte.objects.get(code=code).pk
        found |= dict(zip((f"value-{pk}", f"low-{pk}", f"high-{pk}"), texts, strict=True))
    return found


def looked_at(text: str) -> str:
    found = re.search(r'name="looked_at" value="(\w+)"', text)
    return found[1] if found else ""


def test_what_was_understood_is_shown_before_anything_is_saved(
    patient: Patient, alice: User, signed_in: SignIn
) -> None:
    client, url = signed_in(alice), reverse("labs:type_result", args=[patient.uuid])
    assert "Comprehensive chemistry" in client.get(url).content.decode()
    sent = fields(
        "HHEM-1", WBC=("18.2", "5.05", "16.76"), RBC=("6,62", "", ""), HGB=("<0.25", "1", "")
    )
    page = client.post(url, sent).content.decode()
    assert "the number 18.2, high" in page
    assert "a text, not a number" in page and "A comma may mean a decimal point" in page
    assert "less than 0.25, low" in page
    assert not LabRequest.objects.exists()
    # Saving something else than what was looked at shows that first.
    changed = {**sent, f"value-{Analyte.objects.get(code='WBC').pk}": "1.82"}
    seen = looked_at(page)
    again = client.post(url, {**changed, "looked_at": seen, "save": "1"}).content.decode()
    assert "the number 1.82, low" in again and not LabRequest.objects.exists()
    answer = client.post(url, {**sent, "looked_at": seen, "save": "1"})
    assert answer.status_code == 302
    request = LabRequest.objects.get()
    assert (request.state, request.reviewed_at) == (RequestState.COMPLETE, None)
    rows = {row.code: row for row in Observation.objects.all()}
    assert set(rows) == {"WBC", "RBC", "HGB"}
    assert (rows["WBC"].number, rows["WBC"].flag_computed, rows["WBC"].flag_delivered) == (
        *("18.2", "H"),
        "",
    )
    assert (rows["RBC"].value_text, rows["RBC"].number) == ("6,62", "")
    assert (rows["HGB"].qualifier, rows["HGB"].flag_computed) == ("<", "LL")


@pytest.mark.parametrize(
    ("texts", "says"),
    [
        (("6", "9", "5"), "low end must be below its high end"),
        (("6", "4,5", "9"), "Write 4.5, not 4,5"),
        (("x" * 65, "", ""), "At most 64 characters"),
        (("", "", ""), "Type at least one value"),
    ],
)
def test_what_cannot_be_is_said_in_its_row(
    patient: Patient, alice: User, signed_in: SignIn, texts: tuple[str, str, str], says: str
) -> None:
    url = reverse("labs:type_result", args=[patient.uuid])
    answer = signed_in(alice).post(url, {**fields("HHEM-1", WBC=texts), "save": "1"})
    assert answer.status_code == 422 and says in answer.content.decode()
    assert not LabRequest.objects.exists()


def test_it_is_marked_wherever_it_is_shown(
    clinic: Clinic, patient: Patient, bob: User, signed_in: SignIn
) -> None:
    tina = factories.make_staff(
        clinic=clinic, username="tina", first_name="Tina", last_name="Typist"
    )
    for value in ("6.1", "7.2"):
        request = factories.make_typed(patient, acting_user=tina, WBC=value)
    client = signed_in(bob)
    page = client.get(reverse("labs:request", args=[request.lab_report_id])).content.decode()
    assert "typed by Tina Typist" in page and ", typed</small>" in page
    trends = client.get(reverse("labs:trends", args=[patient.uuid])).content.decode()
    assert "2 of 2 typed in" in trends and "typed by Tina Typist" in trends
    record = client.get(reverse("labs:patient", args=[patient.uuid])).content.decode()
    assert "typed in</small>" in record and "matched afterwards" not in record
    pdf = client.post(reverse("labs:owner_report_pdf", args=[request.lab_report_id]))
    text = " ".join(page.extract_text() for page in PdfReader(io.BytesIO(pdf.content)).pages)
    assert "typed by Tina Typist" in text
    out = io.StringIO()
    call_command("show_request", request.lab_report_id, "--json", stdout=out)
    assert {row["typed_by"] for row in json.loads(out.getvalue())["observations"]} == {"tina"}
    delivered = factories.make_request(patient, accepted=True)
    factories.make_result(delivered)
    page = client.get(reverse("labs:request", args=[delivered.lab_report_id])).content.decode()
    assert "typed by" not in page.partition('class="events"')[0]


def test_it_never_enters_the_journal(clinic: Clinic, patient: Patient, bob: User) -> None:
    factories.make_typed(patient, acting_user=bob)
    assert not Message.objects.exists()
    factories.make_result()
    typed_row, delivered = LabResult.objects.order_by("pk")
    for row, change in (
        (typed_row, {"message": delivered.message}),
        (delivered, {"typed_by": bob}),
        (typed_row, {"typed_by": None}),
    ):
        with pytest.raises(IntegrityError), transaction.atomic():
            LabResult.objects.filter(pk=row.pk).update(**change)


def test_a_correction_is_a_version_with_its_reason_and_opens_the_review_again(
    patient: Patient, bob: User, alice: User, signed_in: SignIn
) -> None:
    request = factories.make_typed(patient, acting_user=alice, WBC="6.1", RBC="7.0")
    request.refresh_from_db()
    review.sign(acting_user=bob, request=request, expected_version=request.version)
    run = request.runs.get()
    client = signed_in(alice)
    url = reverse("labs:correct_typed", args=[request.lab_report_id, run.pk])
    page = client.get(url).content.decode()
    assert 'value="6.1"' in page
    first = run.versions.get()
    sent = {**fields("HHEM-1", WBC=("6.8", "", ""), RBC=("", "", "")), "expected": first.pk}
    page = client.post(url, {**sent, "reason": "Misread"}).content.decode()
    sent |= {"looked_at": looked_at(page), "save": "1"}
    assert client.post(url, {**sent, "reason": " "}).status_code == 422
    assert client.post(url, {**sent, "reason": "Misread"}).status_code == 302
    run.refresh_from_db()
    current = run.versions.get(current=True)
    assert run.review_state == "changed"
    assert (current.report_version, current.status, current.correction_reason) == (
        *(2, "corrected"),
        "Misread",
    )
    shown = {row.code: row.value_text for row in run.observations.filter(current=True)}
    assert shown == {"WBC": "6.8", "RBC": ""}
    assert first.observations.get(code="WBC").value_text == "6.1"
    # Whoever had the first version open is told, and nothing is written over the second one.
    assert client.post(url, {**sent, "reason": "Late"}).status_code == 422
    assert run.versions.count() == 2
    assert LabEvent.objects.get(verb="result.typed_again").words.text == "Misread"


def test_what_an_analyzer_sent_is_not_corrected_by_hand(bob: User, signed_in: SignIn) -> None:
    request = factories.make_request(
        factories.make_patient(bob.membership_set.get().clinic), accepted=True
    )
    factories.make_result(request)
    run = request.runs.get()
    url = reverse("labs:correct_typed", args=[request.lab_report_id, run.pk])
    assert signed_in(bob).get(url).status_code == 404
    lines = [Line(analyte=Analyte.objects.get(code="WBC"), value="1")]
    with pytest.raises(InvalidInput, match="Only what was typed"):
        typed.correct(
            acting_user=bob, run=run, lines=lines, reason="x", expected=run.versions.get().pk
        )


def test_two_that_correct_the_same_version_do_not_overwrite_each_other(
    patient: Patient, bob: User
) -> None:
    run = factories.make_typed(patient, acting_user=bob, WBC="6.1").runs.get()
    seen = run.versions.get().pk
    line = Line(analyte=Analyte.objects.get(code="WBC"), value="6.8")
    typed.correct(acting_user=bob, run=run, lines=[line], reason="a", expected=seen)
    other = replace(line, value="6.9")
    with pytest.raises(Stale):
        typed.correct(acting_user=bob, run=run, lines=[other], reason="b", expected=seen)
    with pytest.raises(InvalidInput, match="Nothing was changed"):
        now = run.versions.get(current=True).pk
        typed.correct(acting_user=bob, run=run, lines=[line], reason="c", expected=now)


def test_a_form_that_is_sent_twice_types_once(patient: Patient, bob: User) -> None:
    key, panel = uuid4(), Panel.objects.get(code="HHEM-1")
    line = Line(analyte=Analyte.objects.get(code="WBC"), value="6.1")
    made = [
        typed.type_result(
            acting_user=bob,
            patient=patient,
            panel=panel,
            lines=[line],
            run_at=timezone.now(),
            form_key=key,
        ).pk
        for _ in range(2)
    ]
    assert made[0] == made[1] and LabResult.objects.count() == 1


@pytest.fixture
def pressed(patient: Patient, bob: User, signed_in: SignIn) -> Callable[..., HttpResponse]:
    """The button below what was understood, with one and the same form each time."""
    client, url = signed_in(bob), reverse("labs:type_result", args=[patient.uuid])
    key = str(uuid4())

    def press(value: str = "6.1", form_key: str = key) -> HttpResponse:
        sent = {**fields("HHEM-1", WBC=(value, "", "")), "form_key": form_key}
        seen = looked_at(client.post(url, sent).content.decode())
        return client.post(url, {**sent, "looked_at": seen, "save": "1"})

    return press


@pytest.mark.parametrize("became", ["merged", "moved"])
def test_sent_again_when_the_first_one_is_on_another_record_by_now(
    clinic: Clinic, patient: Patient, bob: User, pressed: Callable[..., HttpResponse], became: str
) -> None:
    first = pressed()
    made = LabRequest.objects.get()
    other = factories.make_patient(clinic, name="Olive")
    if became == "merged":
        merging.merge(acting_user=None, survivor=other, merged=patient)
    else:
        moving.move_request(
            acting_user=bob,
            request=made,
            patient=other,
            expected_version=made.version,
            reason="Wrong card",
        )
    again = pressed()
    assert (again.status_code, again["Location"]) == (302, first["Location"])
    assert LabResult.objects.count() == 1


def test_sent_again_with_another_value_it_is_not_said_to_be_saved(
    pressed: Callable[..., HttpResponse],
) -> None:
    pressed()
    again = pressed("7.1")
    page = again.content.decode()
    assert again.status_code == 422 and "this form was sent before" in page
    assert LabResult.objects.count() == 1
    # The form has another key by now: pressed once more, it is meant.
    found = re.search(r'name="form_key" value="([0-9a-f-]{36})"', page)
    assert found
    assert pressed("7.1", found[1]).status_code == 302
    assert LabResult.objects.count() == 2


def test_nothing_is_typed_for_the_future_by_the_desk_or_for_no_animal(
    clinic: Clinic, patient: Patient, bob: User
) -> None:
    def try_it(who: User, animal: Patient, at: timedelta = timedelta(0)) -> None:
        typed.type_result(
            acting_user=who,
            patient=animal,
            panel=Panel.objects.get(code="HHEM-1"),
            lines=[Line(analyte=Analyte.objects.get(code="WBC"), value="6.1")],
            run_at=timezone.now() + at,
        )

    with pytest.raises(InvalidInput, match="future"):
        try_it(bob, patient, timedelta(hours=1))
    with pytest.raises(NotAllowed):
        try_it(factories.make_staff("reception", clinic=clinic), patient)
    test = factories.make_patient(clinic, is_test=True)
    with pytest.raises(InvalidInput):
        try_it(bob, test)
    assert not LabRequest.objects.exists()
