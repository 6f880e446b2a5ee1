"""Tests added to a request, and the same ones run again: requests of their own, linked."""

from __future__ import annotations

import threading

import pytest
from django.db import connections

from labs.errors import InvalidInput, NotAllowed
from labs.models import LabEvent, LabRequest, Link, Panel
from labs.services.orders import ordering
from tests.factories import make_clinic, make_patient, make_request, make_result, make_staff

pytestmark = pytest.mark.django_db


@pytest.fixture
def first():
    clinic = make_clinic()
    tech = make_staff(clinic=clinic)
    return make_request(
        make_patient(clinic),
        acting_user=tech,
        panels=("HHEM-1", "HDC-3"),
        doctor="Sample, Sam",
        priority="stat",
        accepted=True,
    )


def add(request, code="HTR-1", **fields):
    return ordering.place_request(
        acting_user=request.requested_by,
        patient=request.patient,
        panels=[Panel.objects.get(code=code)],
        beside=request,
        **fields,
    )


def codes(request):
    return [test.panel.code for test in request.tests.all()]


def test_an_added_test_is_a_request_of_its_own(first):
    before = codes(first)
    added = add(first)
    assert added.lab_report_id != first.lab_report_id
    assert added.result_key != first.result_key
    assert (added.first, added.link) == (first, Link.ADD_ON)
    assert (codes(first), codes(added)) == (before, ["HTR-1"])
    assert added.submission.pk != first.submission.pk
    make_result(added)
    first.refresh_from_db()
    assert (added.state, first.state) == ("complete", "accepted")


def test_the_same_tests_again(first):
    make_result(first)
    again = ordering.run_again(acting_user=first.requested_by, request=first)
    assert codes(again) == codes(first)
    assert (again.first, again.link) == (first, Link.RERUN)
    assert (again.doctor, again.priority) == ("Sample, Sam", "stat")
    assert (first.state, again.state) == ("complete", "queued")


def test_all_of_a_group_name_its_first(first):
    added = _accepted(add(first))
    make_result(added)
    again = ordering.run_again(acting_user=first.requested_by, request=added)
    assert again.first == first
    assert set(first.linked.all()) == {added, again}


def test_what_is_on_its_way_is_not_ordered_beside_itself(first):
    with pytest.raises(InvalidInput, match="Nothing has come"):
        ordering.run_again(acting_user=None, request=first)
    ordering.cancel_request(acting_user=None, request=first, reason="too little blood")
    assert codes(ordering.run_again(acting_user=None, request=first)) == codes(first)


def test_a_repeat_that_waits_is_not_ordered_twice(first):
    make_result(first)
    again = ordering.run_again(acting_user=None, request=first)
    with pytest.raises(InvalidInput, match=f"already, as {again.lab_report_id}"):
        ordering.run_again(acting_user=None, request=first)
    with pytest.raises(InvalidInput, match="Nothing has come"):
        ordering.run_again(acting_user=None, request=again)
    make_result(_accepted(again))
    assert ordering.run_again(acting_user=None, request=first).pk != again.pk


def _accepted(request):
    from tests.factories import accept

    accept(request)
    return request


def test_both_requests_have_it_in_their_audit(first):
    make_result(first)
    added = add(first)
    again = ordering.run_again(acting_user=first.requested_by, request=first)
    told = [
        (event.verb, event.data["made"], event.actor)
        for event in LabEvent.objects.filter(request=first, verb__in=Link_verbs)
    ]
    assert told == [
        ("request.add_on", added.lab_report_id, first.requested_by),
        ("request.rerun", again.lab_report_id, first.requested_by),
    ]
    placed = LabEvent.objects.get(request=again, verb="request.placed")
    assert (placed.data["link"], placed.data["beside"]) == ("rerun", first.lab_report_id)


Link_verbs = [f"request.{link}" for link in Link]


def test_nothing_is_linked_across_animals_or_clinics(first):
    for other in (make_patient(first.clinic), make_patient(make_clinic("Oak"))):
        with pytest.raises(InvalidInput, match="is not a request for"):
            ordering.place_request(
                acting_user=None,
                patient=other,
                panels=[Panel.objects.get(code="HTR-1")],
                beside=first,
            )
    make_result(first)
    stranger = make_staff("vet", clinic=make_clinic("Far"))
    with pytest.raises(NotAllowed):
        ordering.run_again(acting_user=stranger, request=first)
    assert LabRequest.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_two_who_run_it_again_at_one_moment_order_it_once():
    """Both found no repeat, and both placed one: two ids, two samples, two bills."""
    first = make_request(make_patient(), accepted=True)
    make_result(first)
    placed, refused = [], []

    def again():
        try:
            placed.append(ordering.run_again(acting_user=None, request=first))
        except InvalidInput as error:
            refused.append(error.message)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=again) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(placed) == 1
    assert refused == [f"These tests are on order again already, as {placed[0]}."] * 3
