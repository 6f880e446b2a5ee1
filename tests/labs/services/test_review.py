"""Signing: what was seen is what is signed, and whatever changes it opens it again."""

from __future__ import annotations

import pytest

from labs.errors import InvalidInput, NotAllowed, Stale
from labs.models import Review, Role
from labs.services.intake import results
from labs.services.reviews import review
from tests.factories import (
    make_clinic,
    make_message,
    make_patient,
    make_report,
    make_request,
    make_row,
    make_run,
    make_staff,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def clinic():
    return make_clinic()


@pytest.fixture
def alice(clinic):
    return make_staff(Role.VET, clinic=clinic, username="alice")


@pytest.fixture
def lab_request(clinic):
    return make_request(make_patient(clinic), accepted=True)


def report(version, rows, status="final", key="run", **fields):
    return make_report([make_run(rows, key=key, status=status, **fields)], version=version)


def file(request, filed):
    assert not results.file_report(
        message=make_message(request.clinic), report=filed, result_key=request.result_key
    ).held
    request.refresh_from_db()


def sign(alice, request):
    signed = review.sign(
        acting_user=alice, request=request, expected_version=request.version, note="seen"
    )
    request.refresh_from_db()
    return signed


ROW = make_row(value="6.13")


def test_signing_closes_and_a_correction_opens_again(alice, lab_request):
    file(lab_request, report(1, [ROW, make_row("PLT", "90", sequence="2")]))
    assert sign(alice, lab_request) == 1
    run = lab_request.runs.get()
    assert run.review_state == "reviewed"
    assert lab_request.reviewed_at is not None
    file(lab_request, report(2, [make_row("PLT", "143", sequence="2")], "corrected"))
    run.refresh_from_db()
    assert run.review_state == "changed"
    assert lab_request.reviewed_at is None
    first = Review.objects.get()
    # What was signed stays as it was seen.
    assert [row["value"] for row in first.seen if "code" in row] == ["6.13", "90"]
    assert first.result.report_version == 1
    assert sign(alice, lab_request) == 1
    assert Review.objects.count() == 2
    assert Review.objects.first().result.report_version == 2


@pytest.mark.parametrize(
    "changed",
    [
        {"value": "6.14"},
        {"value": "6.130"},
        {"unit": "10^9/L"},
        {"flag": "H"},
        {"comments": ("clotted",)},
        {"high": "17"},
    ],
)
@pytest.mark.parametrize("status", ["final", "corrected"])
def test_any_change_opens_it_whatever_the_status_says(alice, lab_request, changed, status):
    file(lab_request, report(1, [ROW]))
    sign(alice, lab_request)
    file(lab_request, report(2, [make_row(**{"value": "6.13", **changed})], status))
    assert lab_request.runs.get().review_state == "changed"


@pytest.mark.parametrize("status", ["final", "corrected"])
def test_the_same_content_again_does_not_open_it(alice, lab_request, status):
    file(lab_request, report(1, [ROW]))
    sign(alice, lab_request)
    signed_at = lab_request.reviewed_at
    file(lab_request, report(2, [ROW], status))
    assert lab_request.runs.get().review_state == "reviewed"
    assert lab_request.reviewed_at == signed_at


def test_a_cancelled_run_is_no_longer_signed(alice, lab_request):
    file(lab_request, report(1, [ROW]))
    sign(alice, lab_request)
    file(lab_request, report(2, [], "cancelled"))
    assert lab_request.runs.get().review_state == "changed"


def test_an_older_message_that_comes_late_does_not_open_it(alice, lab_request):
    file(lab_request, report(2, [ROW]))
    sign(alice, lab_request)
    file(lab_request, report(1, [make_row(value="5.00")], "preliminary"))
    assert lab_request.runs.get().review_state == "reviewed"


def test_a_preliminary_result_is_seen_but_not_closed(alice, lab_request):
    file(lab_request, report(1, [ROW], "preliminary"))
    assert sign(alice, lab_request) == 1
    assert lab_request.runs.get().review_state == "waiting"
    assert lab_request.reviewed_at is None
    file(lab_request, report(2, [ROW], "final"))
    assert lab_request.runs.get().review_state == "waiting"
    sign(alice, lab_request)
    assert lab_request.reviewed_at is not None


def test_a_second_run_waits_on_its_own(alice, lab_request):
    file(lab_request, report(1, [ROW]))
    sign(alice, lab_request)
    file(lab_request, report(1, [ROW], key="repeat"))
    assert lab_request.reviewed_at is None
    assert sign(alice, lab_request) == 1


def test_nobody_signs_what_he_has_not_seen(alice, lab_request):
    file(lab_request, report(1, [ROW]))
    seen = lab_request.version
    file(lab_request, report(2, [make_row(value="9")], "corrected"))
    with pytest.raises(Stale):
        review.sign(acting_user=alice, request=lab_request, expected_version=seen)
    assert not Review.objects.exists()


def test_who_may_sign(clinic, alice, lab_request):
    file(lab_request, report(1, [ROW]))
    bob = make_staff(Role.TECHNICIAN, clinic=clinic, username="bob")
    charlie = make_staff(Role.VET, username="charlie")
    for stranger in (bob, charlie):
        with pytest.raises(NotAllowed):
            sign(stranger, lab_request)
    sign(alice, lab_request)
    with pytest.raises(InvalidInput):
        sign(alice, lab_request)
