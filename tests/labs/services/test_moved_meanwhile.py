"""A request is moved to another animal while somebody works with it as it was before (I2)."""

from __future__ import annotations

import pytest

from labs.errors import Stale
from labs.models import (
    LabEvent,
    LabRequest,
    MatchDecision,
    Panel,
    Patient,
    Submission,
    UnmatchedResult,
)
from labs.order import Receipt
from labs.queries.records.event_words import EVENT_WORDS
from labs.services.orders import moving, ordering, submissions
from labs.services.orphaned import matching
from tests import factories

pytestmark = pytest.mark.django_db


@pytest.fixture
def anna() -> Patient:
    return factories.make_patient(factories.make_clinic(), name="Anna")


@pytest.fixture
def bello(anna: Patient) -> Patient:
    return factories.make_patient(anna.clinic, name="Bello")


def move(request: LabRequest, patient: Patient) -> None:
    now = LabRequest.objects.get(pk=request.pk)
    moving.move_request(
        acting_user=None,
        request=now,
        patient=patient,
        expected_version=now.version,
        reason="wrong animal",
    )


def sending(request: LabRequest) -> submissions.Claim:
    claim = submissions.claim(request.submission.pk)
    assert claim is not None
    assert submissions.about_to_send(claim, "{}")
    return claim


def test_no_match_onto_a_request_that_has_just_been_moved(anna: Patient, bello: Patient) -> None:
    request = factories.make_request(anna)
    orphan = factories.make_unmatched(anna.clinic, patient_name="Anna")
    seen = LabRequest.objects.select_related("clinic", "patient").get(pk=request.pk)
    move(request, bello)
    with pytest.raises(Stale, match="was moved to Bello in the meantime"):
        matching.match(
            acting_user=None,
            unmatched=orphan,
            patient=anna,
            request=seen,
            expected_version=orphan.version,
        )
    assert not MatchDecision.objects.filter(active=True).exists()
    assert UnmatchedResult.objects.get().state == "open"


def test_what_never_left_under_the_old_name_is_not_looked_for_under_it(
    anna: Patient, bello: Patient
) -> None:
    request = factories.make_request(anna)
    claim = sending(request)
    move(request, bello)
    assert LabRequest.objects.get().sent_for == anna
    submissions.settle_retry(claim, error="Heska can't be reached.", outcome_unknown=False)
    assert LabRequest.objects.get().sent_for is None


@pytest.mark.parametrize("unknown", [True, False], ids=["no answer", "taken"])
def test_what_left_or_may_have_left_under_it_is(
    anna: Patient, bello: Patient, unknown: bool
) -> None:
    request = factories.make_request(anna)
    claim = sending(request)
    move(request, bello)
    if unknown:
        submissions.settle_retry(claim, error="No answer.", outcome_unknown=True)
    else:
        submissions.settle_accepted(claim, Receipt())
    assert LabRequest.objects.get().sent_for == anna


def test_moved_between_the_claim_and_its_body_it_leaves_under_the_new_name(
    anna: Patient, bello: Patient
) -> None:
    request = factories.make_request(anna)
    claim = submissions.claim(request.submission.pk)
    assert claim is not None
    move(request, bello)
    claim.submission.request = LabRequest.objects.get()  # as it is read a moment later
    assert submissions.about_to_send(claim, "{}")
    assert LabRequest.objects.get().sent_for is None


@pytest.mark.parametrize("there", [True, False])
def test_a_corrected_order_that_is_taken_has_the_new_name(
    anna: Patient, bello: Patient, there: bool
) -> None:
    """Unless the laboratory had the first one all the same."""
    request = factories.make_request(anna)
    submissions.settle_retry(sending(request), error="No answer.", outcome_unknown=True)
    move(request, bello)
    assert LabRequest.objects.get().sent_for == anna
    Submission.objects.update(sent_body="", not_before=request.requested_at)  # "it is not there"
    submissions.settle_accepted(sending(request), Receipt(already_there=there))
    assert LabRequest.objects.get().sent_for == (anna if there else None)


@pytest.mark.parametrize(
    ("settle", "verb"),
    [
        ({"error": "No answer.", "outcome_unknown": True}, "submission.cancelled_unknown"),
        ({"error": "Not reached.", "outcome_unknown": False}, "submission.cancelled"),
    ],
)
def test_the_history_denies_no_sending(anna: Patient, settle: dict[str, str], verb: str) -> None:
    request = factories.make_request(anna)
    claim = sending(request)
    ordering.cancel_request(acting_user=None, request=request, reason="not needed")
    submissions.settle_retry(claim, **settle)  # type: ignore[arg-type]
    assert Submission.objects.get().state == "cancelled"
    assert LabEvent.objects.filter(verb__startswith="submission.").last().verb == verb  # type: ignore[union-attr]
    assert ("did not send" in EVENT_WORDS[verb]) == (verb == "submission.cancelled")


def test_run_again_orders_for_the_animal_on_the_button(anna: Patient, bello: Patient) -> None:
    request = factories.make_request(anna)
    factories.make_result(request)
    move(request, bello)
    with pytest.raises(Stale, match="moved to Bello"):
        ordering.run_again(acting_user=None, request=request, seen_for=str(anna.uuid))
    assert LabRequest.objects.count() == 1


def test_nothing_is_added_beside_a_request_that_has_just_been_moved(
    anna: Patient, bello: Patient
) -> None:
    request = factories.make_request(anna)
    seen = LabRequest.objects.select_related("patient").get(pk=request.pk)
    assert seen.patient == anna
    move(request, bello)
    with pytest.raises(Stale, match="moved to Bello"):
        ordering.place_request(
            acting_user=None, patient=anna, panels=list(Panel.objects.all()[:1]), beside=seen
        )
    assert LabRequest.objects.count() == 1
