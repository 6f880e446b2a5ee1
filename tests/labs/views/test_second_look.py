"""A match against a contradiction waits for a second person: who made it does not check it."""

from __future__ import annotations

from datetime import timedelta

import pytest
import time_machine
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from labs.errors import InvalidInput, NotAllowed, Stale
from labs.models import Clinic, MatchDecision, Patient, Role, UnmatchedResult
from labs.queries.orphaned.candidates import candidates_for
from labs.queries.orphaned.orphans import runs_of
from labs.services.orphaned import second_look
from tests import factories

pytestmark = pytest.mark.django_db


@pytest.fixture
def clinic() -> Clinic:
    return factories.make_clinic()


@pytest.fixture
def ana(clinic: Clinic) -> User:
    return factories.make_staff(clinic=clinic, username="ana", first_name="Ana")


@pytest.fixture
def ben(clinic: Clinic) -> User:
    return factories.make_staff(Role.VET, clinic=clinic, username="ben", first_name="Ben")


@pytest.fixture
def cat(clinic: Clinic) -> Patient:
    """On file as a cat; the analyzer was told of a dog."""
    return factories.make_patient(clinic, patient_id="P-10482", species="cat")


@pytest.fixture
def orphan(clinic: Clinic) -> UnmatchedResult:
    return factories.make_unmatched(clinic, owner_last_name="EXAMPLE")


def signed_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def attach(user: User, orphan: UnmatchedResult, patient: Patient) -> Client:
    """As the card does it, the animal's name typed."""
    client = signed_in(user)
    found = candidates_for(orphan, runs=runs_of(orphan), chosen=patient.uuid)[0]
    form = {"candidate": patient.uuid, "seen": found.seen_key, "version": orphan.version}
    answer = client.post(f"/unmatched/{orphan.uuid}/", form | {"typed_name": patient.name})
    assert answer.status_code == 302
    orphan.refresh_from_db()
    return client


def shown(client: Client, address: str) -> str:
    return client.get(address).content.decode()


def test_who_made_it_is_told_to_leave_it_to_a_colleague(
    orphan: UnmatchedResult, ana: User, ben: User, cat: Patient
) -> None:
    mine = attach(ana, orphan, cat)
    page = f"/unmatched/{orphan.uuid}/"
    assert "Species differs.</b> A colleague looks at it too" in shown(mine, page)
    assert 'id="looked"' not in shown(mine, page)
    assert "A colleague checks it." in shown(mine, "/unmatched/?state=matched")
    assert "contradicts" not in shown(mine, "/unmatched/"), "nothing that she could do about it"
    answer = mine.post(f"{page}confirm/", {"version": orphan.version})
    assert answer.status_code == 403
    assert "a second person checks it" in answer.content.decode()
    theirs = signed_in(ben)
    assert "1 attached although something contradicts it" in shown(theirs, "/unmatched/")
    row = shown(theirs, "/unmatched/?state=matched")
    assert "Species differs." in row and 'data-press="c"' in row and 'data-press="z"' in row
    assert "Is it this animal all the same?" in shown(theirs, page)


def test_a_second_person_says_that_it_is_right_once_and_that_is_on_record(
    orphan: UnmatchedResult, ana: User, ben: User, cat: Patient
) -> None:
    mine, theirs = attach(ana, orphan, cat), signed_in(ben)
    standing = MatchDecision.objects.get(active=True)
    assert standing.request is not None
    result = f"/requests/{standing.request.lab_report_id}/"
    assert "no second person has checked it yet" in shown(theirs, result)
    seen = orphan.version
    form = {"version": seen, "next": "/unmatched/?state=matched"}
    answer = theirs.post(f"/unmatched/{orphan.uuid}/confirm/", form)
    assert (answer.status_code, answer["Location"]) == (302, "/unmatched/?state=matched")
    checked = MatchDecision.objects.last()
    assert checked is not None
    assert (checked.action, checked.actor, checked.patient) == ("check", ben, cat)
    assert MatchDecision.objects.get(active=True) == standing, "the match itself stands as it was"
    assert "checked as a second person by Ben" in shown(mine, "/unmatched/?state=matched")
    assert "A second person has checked it" in shown(mine, f"/unmatched/{orphan.uuid}/")
    history = shown(mine, f"/unmatched/{orphan.uuid}/history/")
    assert "<b>Ben</b> checked as a second person" in history
    assert "no second person has checked it yet" not in shown(theirs, result)
    assert "contradicts" not in shown(theirs, "/unmatched/")
    with pytest.raises(Stale):
        second_look.check(acting_user=ben, unmatched=orphan, expected_version=seen)
    orphan.refresh_from_db()
    with pytest.raises(InvalidInput, match="checked it already"):
        second_look.check(acting_user=ben, unmatched=orphan, expected_version=orphan.version)


def test_or_takes_it_back_with_that_reason(
    orphan: UnmatchedResult, ana: User, ben: User, cat: Patient
) -> None:
    attach(ana, orphan, cat)
    form = {"version": orphan.version, "reason": second_look.TAKEN_BACK}
    assert signed_in(ben).post(f"/unmatched/{orphan.uuid}/unmatch/", form).status_code == 302
    orphan.refresh_from_db()
    last = MatchDecision.objects.last()
    assert last is not None
    assert (orphan.state, last.action, last.actor) == ("open", "unmatch", ben)
    assert last.reason == "Second person: not this animal"
    assert "contradicts" not in shown(signed_in(ben), "/unmatched/?state=matched")
    with pytest.raises(InvalidInput):
        second_look.check(acting_user=ben, unmatched=orphan, expected_version=orphan.version)


def test_it_stays_on_the_list_until_then_and_stands_on_top(
    clinic: Clinic, orphan: UnmatchedResult, ana: User, ben: User, cat: Patient
) -> None:
    """The others leave the tab after two days."""
    then = timezone.now()
    plain = factories.make_unmatched(clinic, patient_name="PLAIN", owner_last_name="EXAMPLE")
    dog = factories.make_patient(clinic, name="Plain")
    attach(ana, orphan, cat)
    attach(ana, plain, dog)
    names = [">BISCUIT</a>", ">PLAIN</a>"]
    page = shown(signed_in(ben), "/unmatched/?state=matched")
    assert page.index(names[0]) < page.index(names[1]), "although the other one is newer"
    with time_machine.travel(then + timedelta(hours=47, minutes=59), tick=False):
        page = shown(signed_in(ben), "/unmatched/?state=matched")
        assert all(name in page for name in names)
    with time_machine.travel(then + timedelta(hours=48, minutes=1), tick=False):
        page = shown(signed_in(ben), "/unmatched/?state=matched")
        assert [name in page for name in names] == [True, False]
        orphan.refresh_from_db()
        second_look.check(acting_user=ben, unmatched=orphan, expected_version=orphan.version)
        assert names[0] not in shown(signed_in(ben), "/unmatched/?state=matched")


def test_a_match_that_nothing_contradicts_waits_for_nobody(
    clinic: Clinic, orphan: UnmatchedResult, ana: User, ben: User
) -> None:
    attach(ana, orphan, factories.make_patient(clinic))
    assert not MatchDecision.objects.get().against
    assert "contradicts" not in shown(signed_in(ben), "/unmatched/?state=matched")
    with pytest.raises(InvalidInput):
        second_look.check(acting_user=ben, unmatched=orphan, expected_version=orphan.version)


def test_each_match_anew_is_checked_anew(
    clinic: Clinic, orphan: UnmatchedResult, ana: User, ben: User, cat: Patient
) -> None:
    attach(ana, orphan, cat)
    second_look.check(acting_user=ben, unmatched=orphan, expected_version=orphan.version)
    form = {"version": orphan.version, "reason": "Wrong"}
    signed_in(ana).post(f"/unmatched/{orphan.uuid}/unmatch/", form)
    orphan.refresh_from_db()
    attach(ben, orphan, cat)
    assert "1 attached although" in shown(signed_in(ana), "/unmatched/")
    assert "1 attached although" not in shown(signed_in(ben), "/unmatched/")


def test_nobody_of_another_clinic_sees_or_checks_it(
    orphan: UnmatchedResult, ana: User, cat: Patient
) -> None:
    attach(ana, orphan, cat)
    stranger = factories.make_staff(clinic=factories.make_clinic("Harbor Animal Hospital"))
    client = signed_in(stranger)
    assert "contradicts" not in shown(client, "/unmatched/")
    form = {"version": orphan.version}
    assert client.post(f"/unmatched/{orphan.uuid}/confirm/", form).status_code == 404
    with pytest.raises(NotAllowed):
        second_look.check(acting_user=stranger, unmatched=orphan, expected_version=orphan.version)
