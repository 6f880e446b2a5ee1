"""Follow-ups, what owners were told, and reviews that are given to a colleague."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest
import time_machine
from django.test import Client
from django.urls import reverse

from labs.errors import InvalidInput, NotAllowed, Stale
from labs.models import LabEvent, LabRequest, Role
from labs.queries.overview.worklist_filters import Filters
from labs.queries.readings.results import results_of
from labs.queries.reviews.care import care_of, follow_ups_due, follow_ups_of
from labs.services.reviews import care, escalation, review
from tests import factories

pytestmark = pytest.mark.django_db
# In Denver still the evening of 1 March.
LATE = datetime(2026, 3, 2, 5, 0, tzinfo=UTC)


@pytest.fixture
def clinic():
    return factories.make_clinic(timezone="America/Denver")


@pytest.fixture
def alice(clinic):
    return factories.make_staff(
        Role.VET, clinic=clinic, username="alice", first_name="Alice", last_name="Hart"
    )


@pytest.fixture
def bob(clinic):
    return factories.make_staff(Role.VET, clinic=clinic, username="bob", email="bob@example.org")


@pytest.fixture
def tess(clinic):
    return factories.make_staff(Role.TECHNICIAN, clinic=clinic, username="tess")


@pytest.fixture
def lab_request(clinic, alice):
    request = factories.make_request(
        factories.make_patient(clinic), acting_user=alice, accepted=True
    )
    factories.make_result(request)
    request.refresh_from_db()
    return request


def test_a_follow_up_is_due_by_the_clinics_own_day_until_a_person_did_it(
    clinic, lab_request, alice, tess
):
    with time_machine.travel(LATE, tick=False):
        made = care.follow_up(
            acting_user=alice,
            request=lab_request,
            what="Call about  the PLT",
            assigned_to=tess,
            due_on=date(2026, 3, 2),
        )
        assert made.what == "Call about the PLT"
        assert follow_ups_due(clinic) == [], "tomorrow, in Denver"
        assert follow_ups_of(lab_request.patient) == [made]
    with time_machine.travel(datetime(2026, 3, 2, 8, 0, tzinfo=UTC), tick=False):
        assert follow_ups_due(clinic) == [made]
        assert follow_ups_due(clinic, tess) == [made] and follow_ups_due(clinic, alice) == []
        assert follow_ups_due(factories.make_clinic("Harbour")) == []
        care.done(acting_user=alice, follow_up=made, note="Owner comes on Friday")
        assert follow_ups_due(clinic) == [] == follow_ups_of(lab_request.patient)
        with pytest.raises(Stale):
            care.done(acting_user=tess, follow_up=made)
    made.refresh_from_db()
    assert (made.done_by, made.done_note) == (alice, "Owner comes on Friday")
    verbs = LabEvent.objects.filter(verb__startswith="followup").values_list("verb", flat=True)
    assert sorted(verbs) == ["followup.done", "followup.made"]


@pytest.mark.parametrize("wrong", ["nothing", "yesterday", "stranger", "no day", "desk"])
def test_a_follow_up_that_nobody_could_do_is_refused(clinic, lab_request, alice, wrong):
    given = {"what": "Call", "assigned_to": alice, "due_on": date(2026, 3, 2)}
    given |= {
        "nothing": {"what": " "},
        "yesterday": {"due_on": date(2026, 2, 28)},
        "stranger": {"assigned_to": factories.make_staff(Role.VET)},
        "no day": {"due_on": None},
        "desk": {"assigned_to": factories.make_staff(Role.RECEPTION, clinic=clinic)},
    }[wrong]
    with time_machine.travel(LATE, tick=False), pytest.raises(InvalidInput):
        care.follow_up(acting_user=alice, request=lab_request, **given)


def test_what_the_owner_was_told_and_that_a_correction_came_since(lab_request, tess):
    said = care.tell_owner(acting_user=tess, request=lab_request, what="WBC fine, fasting tomorrow")
    (told,) = care_of(lab_request, results_of(lab_request).runs).told
    assert (told.said, told.outdated) == (said, False)
    assert (said.told_by, said.version) == (tess, lab_request.version)
    run = factories.make_run([factories.make_row(value="66.1")], key=lab_request.runs.get().run_key)
    factories.make_result(lab_request, factories.make_report([run], version=2))
    (told,) = care_of(lab_request, results_of(lab_request).runs).told
    assert told.outdated
    with pytest.raises(InvalidInput):
        care.tell_owner(acting_user=tess, request=lab_request, what="")


def test_a_review_that_was_given_away_is_the_colleagues(clinic, lab_request, alice, bob, tess):
    def mine(user):
        return LabRequest.objects.filter(Filters(mine=user).q()).exists()

    assert mine(alice) and not mine(bob)
    care.hand_over(acting_user=alice, request=lab_request, to=bob, note="my shift ends")
    assert mine(bob) and not mine(alice)
    found = care_of(lab_request, [])
    assert (found.handed.given_by, found.handed.note) == (alice, "my shift ends")
    assert LabEvent.objects.get(verb="review.handed_over").data == {"to": bob.pk}
    with pytest.raises(InvalidInput):
        care.hand_over(acting_user=alice, request=lab_request, to=tess)
    with pytest.raises(NotAllowed):
        care.hand_over(acting_user=tess, request=lab_request, to=bob)
    # A critical value is said to the colleague, too.
    row = factories.make_row("K", "7.9", unit="mmol/L")
    factories.make_result(
        lab_request, factories.make_report([factories.make_run([row], key="second")])
    )
    alarm = lab_request.runs.get(run_key="second").alarms.get()
    assert [place.user for place in escalation.responsible(alarm)] == [bob]
    lab_request.refresh_from_db()
    review.sign(acting_user=alice, request=lab_request, expected_version=lab_request.version)
    lab_request.refresh_from_db()
    with pytest.raises(InvalidInput):
        care.hand_over(acting_user=alice, request=lab_request, to=bob)


def test_the_pages_say_it(clinic, lab_request, alice, bob):
    care.hand_over(acting_user=alice, request=lab_request, to=bob, note="my shift ends")
    care.tell_owner(acting_user=alice, request=lab_request, what="All fine")
    today = care_today(clinic)
    care.follow_up(
        acting_user=alice, request=lab_request, what="Call again", assigned_to=bob, due_on=today
    )
    client = Client()
    client.force_login(bob)
    address = reverse("labs:request", args=[lab_request.lab_report_id])
    shown = client.get(address).content.decode()
    assert "Alice Hart gave the review to you" in shown and "my shift ends" in shown
    assert "All fine" in shown and "Call again" in shown
    worklist = client.get(reverse("labs:worklist") + "?mine=1").content.decode()
    assert "Call again" in worklist and lab_request.lab_report_id in worklist
    patient = client.get(reverse("labs:patient", args=[lab_request.patient.uuid]))
    assert "Call again" in patient.content.decode()


def care_today(clinic):
    from labs.queries.reviews.care import today

    return today(clinic)


# Several at once


def plain(clinic, *rows, **fields):
    request = factories.make_request(factories.make_patient(clinic), accepted=True)
    run = factories.make_run(rows or None, **fields)
    factories.make_result(request, factories.make_report([run]))
    request.refresh_from_db()
    return request


def pair(request):
    request.refresh_from_db()
    return request.lab_report_id, request.version


CRITICAL = factories.make_row("K", "7.9", unit="mmol/L")


@pytest.mark.parametrize("why", ["critical", "acknowledged", "preliminary", "changed", "picture"])
def test_never_several_with_something_that_has_to_be_looked_at(clinic, alice, why):
    odd = {
        "critical": lambda: plain(clinic, CRITICAL),
        "acknowledged": lambda: plain(clinic, CRITICAL),
        "preliminary": lambda: plain(clinic, status="preliminary"),
        "changed": lambda: plain(clinic),
        "picture": lambda: plain(clinic, factories.make_row("SCAT", None, attachment=True)),
    }[why]()
    if why == "acknowledged":
        type(odd.runs.get().alarms.get()).objects.update(ended="acknowledged", ended_by=alice)
    if why == "changed":
        review.sign(acting_user=alice, request=odd, expected_version=odd.version)
        run = factories.make_run([factories.make_row(value="9")], key=odd.runs.get().run_key)
        factories.make_result(odd, factories.make_report([run], version=2))
    good = plain(clinic)
    client = Client()
    client.force_login(alice)
    page = client.get(reverse("labs:review_many")).content.decode()
    assert good.lab_report_id in page and odd.lab_report_id not in page
    # Slipped in all the same.
    chosen = [pair(odd), pair(good)]
    signed, left = review.sign_many(acting_user=alice, clinic=clinic, chosen=chosen)
    assert signed == 1 and len(left) == 1 and "opened" in left[0]
    odd.refresh_from_db()
    good.refresh_from_db()
    assert good.reviewed_at and not odd.reviewed_at


def test_several_are_signed_as_they_were_shown(clinic, alice):
    first, second = plain(clinic), plain(clinic)
    other = plain(factories.make_clinic("Harbour"))
    chosen = [pair(first), pair(second), pair(other)]
    run = factories.make_run([factories.make_row(value="9")], key=second.runs.get().run_key)
    factories.make_result(second, factories.make_report([run], version=2))
    signed, left = review.sign_many(acting_user=alice, clinic=clinic, chosen=chosen)
    assert signed == 1
    assert len(left) == 1 and "changed while you were reading" in left[0]
    other.refresh_from_db()
    assert other.reviewed_at is None


def test_only_a_vet_signs_several(clinic, tess):
    with pytest.raises(NotAllowed):
        review.sign_many(acting_user=tess, clinic=clinic, chosen=[])
