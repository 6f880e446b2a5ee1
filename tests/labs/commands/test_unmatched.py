from __future__ import annotations

import pytest
from django.core.management import CommandError
from django.db import connection

from labs.models import LabRequest, MatchDecision, UnmatchedReason, UnmatchedResult
from labs.report import Identity
from labs.services.intake import results
from tests.factories import (
    make_clinic,
    make_message,
    make_patient,
    make_report,
    make_request,
    make_staff,
    make_unmatched,
)
from tests.shell import answer, lines, said

pytestmark = pytest.mark.django_db


def test_list_unmatched_is_the_clinics_own_queue() -> None:
    clinic = make_clinic()
    make_unmatched(make_clinic("Oak"))
    orphan = make_unmatched(clinic, patient_name="BISCUIT ", patient_id="1")
    (listed,) = lines("list_unmatched", "--clinic", clinic.public_id)
    assert listed["message_id"] == orphan.message_id
    assert listed["external_id"] == orphan.external_id
    assert (listed["state"], listed["reason"]) == ("Open", "no_request")
    assert (listed["typed"]["patient_name"], listed["typed"]["patient_id"]) == ("BISCUIT ", "1")
    (row,) = listed["observations"]
    assert (row["test_code"], row["code"], row["value"], row["flag_computed"]) == (
        "HHEM-1",
        "WBC",
        6.13,
        "N",
    )
    text = said("list_unmatched", "--clinic", clinic.public_id)
    assert text.startswith(f"{orphan.message_id}: BISCUIT, 1; Open, no request\n")


def test_statements_do_not_grow_with_the_queue(django_assert_num_queries) -> None:  # type: ignore[no-untyped-def]
    clinic = make_clinic()
    for _ in range(5):
        make_unmatched(clinic)
    said("list_unmatched", "--clinic", clinic.public_id)
    # Two look at the migrations; PostgreSQL is told to take its time.
    with django_assert_num_queries(6 if connection.vendor == "postgresql" else 5):
        said("list_unmatched", "--clinic", clinic.public_id)


def test_match_and_unmatch() -> None:
    clinic = make_clinic()
    make_staff(clinic=clinic, username="alice")
    make_patient(clinic, patient_id="P-1")
    orphan = make_unmatched(clinic)
    where = ["--clinic", clinic.public_id, "--as", "alice"]
    matched = answer("match_unmatched", orphan.message_id, *where, "--patient", "P-1")
    request = LabRequest.objects.get()
    assert matched == {
        "message_id": orphan.message_id,
        "state": "Matched",
        "patient_id": "P-1",
        "lab_report_id": request.lab_report_id,
    }
    assert answer("show_request", request.lab_report_id)["state"] == "Complete"
    assert lines("list_unmatched", "--clinic", clinic.public_id) == []
    (kept,) = lines("list_unmatched", "--clinic", clinic.public_id, "--all")
    assert kept["state"] == "Matched"

    assert answer("unmatch", orphan.message_id, *where, "--reason", "Wrong dog") == {
        "message_id": orphan.message_id,
        "state": "Open",
    }
    assert answer("show_request", request.lab_report_id)["observations"] == []
    decisions = orphan.decisions.values_list("action", "actor__username", "reason")
    assert list(decisions) == [("match", "alice", ""), ("unmatch", "alice", "Wrong dog")]


def test_a_conflict_goes_onto_the_request_it_was_sent_for() -> None:
    clinic = make_clinic()
    make_staff(clinic=clinic, username="alice")
    request = make_request(make_patient(clinic, patient_id="P-1"), accepted=True)
    message = make_message(clinic)
    report = make_report(identity=Identity(patient_name="Somebody"), message_id="m-1")
    results.file_report(message=message, report=report, result_key=request.result_key)
    assert UnmatchedResult.objects.get().reason == UnmatchedReason.CONFLICT
    args = ["--clinic", clinic.public_id, "--as", "alice", "--patient", "P-1"]
    assert answer("match_unmatched", "m-1", *args)["lab_report_id"] == request.lab_report_id


def test_as_on_the_screen_it_goes_onto_the_request_that_waits_for_it_and_keeps_why() -> None:
    clinic = make_clinic()
    make_staff(clinic=clinic, username="alice")
    cat = make_patient(clinic, patient_id="P-1", species="cat")
    request = make_request(cat, accepted=True)
    orphan = make_unmatched(clinic, patient_id="P-1")
    args = ["--clinic", clinic.public_id, "--as", "alice", "--patient", "P-1"]
    matched = answer("match_unmatched", orphan.message_id, *args)
    assert matched["lab_report_id"] == request.lab_report_id
    decision = MatchDecision.objects.get()
    assert decision.evidence["found_by"] == "command" and decision.evidence["fields"]
    assert decision.evidence["serious"] == ["species"]
    assert decision.against, "a dog's result on a cat's record waits for a second person"


def test_who_does_not_work_there_decides_nothing() -> None:
    clinic = make_clinic()
    make_staff(clinic=make_clinic("Oak"), username="charlie")
    make_patient(clinic, patient_id="P-1")
    orphan = make_unmatched(clinic)
    args = ["--clinic", clinic.public_id, "--as", "charlie", "--patient", "P-1"]
    with pytest.raises(CommandError, match="Nobody called “charlie” works at"):
        said("match_unmatched", orphan.message_id, *args)
    with pytest.raises(CommandError, match="Nobody called"):
        said("unmatch", orphan.message_id, *args[:-2])


def test_another_clinics_orphan_or_patient_is_none() -> None:
    clinic, oak = make_clinic(), make_clinic("Oak")
    make_staff(clinic=clinic, username="alice")
    make_patient(oak, patient_id="P-1")
    here, there = make_unmatched(clinic), make_unmatched(oak)
    args = ["--clinic", clinic.public_id, "--as", "alice", "--patient", "P-1"]
    with pytest.raises(CommandError, match="has no patient with the id"):
        said("match_unmatched", here.message_id, *args)
    with pytest.raises(CommandError, match="has no unmatched result with the message id"):
        said("match_unmatched", there.message_id, *args)


def test_a_match_is_made_once_and_taken_back_once() -> None:
    clinic = make_clinic()
    make_staff(clinic=clinic, username="alice")
    make_patient(clinic, patient_id="P-1")
    make_patient(clinic, patient_id="P-2")
    orphan = make_unmatched(clinic)
    where = ["--clinic", clinic.public_id, "--as", "alice"]
    answer("match_unmatched", orphan.message_id, *where, "--patient", "P-1")
    with pytest.raises(CommandError, match="This result is matched"):
        said("match_unmatched", orphan.message_id, *where, "--patient", "P-2")
    with pytest.raises(CommandError, match="nothing was changed"):
        said("unmatch", orphan.message_id, *where, "--patient", "P-2")
    answer("unmatch", orphan.message_id, *where, "--patient", "P-1")
    with pytest.raises(CommandError, match="This result is open"):
        said("unmatch", orphan.message_id, *where)


def test_an_id_that_two_orphans_bear_is_asked_back_about() -> None:
    clinic = make_clinic()
    make_staff(clinic=clinic, username="alice")
    make_patient(clinic, patient_id="P-1")
    for name in ("Luna", "Milo"):
        report = make_report(message_id="same", identity=Identity(patient_name=name))
        make_unmatched(clinic, report)
    first, second = UnmatchedResult.objects.order_by("pk")
    args = ["--clinic", clinic.public_id, "--as", "alice", "--patient", "P-1"]
    with pytest.raises(CommandError, match=f"2 results bear.*{first.uuid} \\(Luna") as caught:
        said("match_unmatched", "same", *args)
    assert str(second.uuid) in str(caught.value)
    assert answer("match_unmatched", str(second.uuid), *args)["state"] == "Matched"
    first.refresh_from_db()
    assert first.state == "open"
