"""One message that held two animals: each half goes its own way, and what follows goes with it."""

from __future__ import annotations

import json

import pytest

from labs.errors import InvalidInput, Stale
from labs.models import TestRun, UnmatchedResult
from labs.report import Identity
from labs.services.intake import results
from labs.services.orders import emergency, emergency_codes
from labs.services.orphaned import matching, splitting
from tests import factories

pytestmark = pytest.mark.django_db
CBC, KIDNEY = "HHEM-1", "HDC-3"


def run(code, value="6.13"):
    return factories.make_run(
        [factories.make_row(value=value)], key=f"run-{code}", test_code=code, test_name=code
    )


def report(*runs, version=1, **typed):
    return factories.make_report(
        runs, external_id="94912", version=version, identity=Identity(patient_id="1", **typed)
    )


@pytest.fixture
def clinic():
    return factories.make_clinic()


@pytest.fixture
def alice(clinic):
    return factories.make_staff(clinic=clinic, username="alice")


@pytest.fixture
def biscuit(clinic):
    return factories.make_patient(clinic)


@pytest.fixture
def olive(clinic):
    return factories.make_patient(clinic, name="Olive", species="cat")


@pytest.fixture
def orphan(clinic):
    return factories.make_unmatched(clinic, report(run(CBC), run(KIDNEY)))


def split(user, orphan, code=KIDNEY):
    orphan.refresh_from_db()
    return splitting.split(
        acting_user=user,
        unmatched=orphan,
        runs=orphan.runs.filter(test_code=code).values_list("pk", flat=True),
        expected_version=orphan.version,
    )


def match(user, orphan, patient):
    orphan.refresh_from_db()
    return matching.match(
        acting_user=user, unmatched=orphan, patient=patient, expected_version=orphan.version
    )


def send(clinic, sent):
    message = factories.make_message(clinic)
    results.file_report(message=message, report=sent, result_key=None)


def values(request):
    rows = request.runs.filter(observations__current=True)
    return list(rows.values_list("test_code", "observations__value_text"))


def test_each_half_has_what_was_typed_and_goes_to_its_own_animal(alice, orphan, biscuit, olive):
    typed = json.dumps(orphan.typed)
    part = split(alice, orphan)
    assert json.dumps(part.typed) == typed
    assert [run.test_code for run in part.runs.all()] == [KIDNEY]
    assert [run.test_code for run in orphan.runs.all()] == [CBC]
    assert part.state == "open" and part.uuid != orphan.uuid
    assert values(match(alice, orphan, biscuit)) == [(CBC, "6.13")]
    assert values(match(alice, part, olive)) == [(KIDNEY, "6.13")]
    assert [d.action for d in part.decisions.all()] == ["split", "match"]


def test_a_correction_reaches_both_animals(clinic, alice, orphan, biscuit, olive):
    part = split(alice, orphan)
    one, other = match(alice, orphan, biscuit), match(alice, part, olive)
    send(clinic, report(run(CBC, "7"), run(KIDNEY, "8"), version=2))
    assert values(one) == [(CBC, "7")]
    assert values(other) == [(KIDNEY, "8")]
    assert UnmatchedResult.objects.count() == 2


def test_a_correction_of_one_half_leaves_the_other(clinic, alice, orphan, biscuit):
    part = split(alice, orphan)
    part.refresh_from_db()
    before = part.version
    one = match(alice, orphan, biscuit)
    send(clinic, report(run(CBC, "7"), version=2))
    part.refresh_from_db()
    assert values(one) == [(CBC, "7")]
    assert (part.version, part.state) == (before, "open")


def test_what_is_new_after_the_split_waits_for_a_person(clinic, alice, orphan, biscuit, olive):
    """On whose record? It went with the first half without a word."""
    part = split(alice, orphan)
    one, other = match(alice, orphan, biscuit), match(alice, part, olive)
    send(clinic, report(run(CBC), run("HTR-1"), version=2))
    late = UnmatchedResult.objects.get(state="open")
    assert [run.test_code for run in late.runs.all()] == ["HTR-1"]
    assert "held two animals" in late.contradictions[-1]
    assert one.runs.count() == other.runs.count() == 1


def test_something_new_for_a_dismissed_half_opens_it_again(clinic, alice, orphan, biscuit):
    part = split(alice, orphan)
    part.refresh_from_db()
    matching.dismiss(
        acting_user=alice, unmatched=part, expected_version=part.version, reason="QC run"
    )
    match(alice, orphan, biscuit)
    send(clinic, report(run(KIDNEY, "9"), version=2))
    part.refresh_from_db()
    orphan.refresh_from_db()
    assert (part.state, orphan.state) == ("open", "matched")


def test_a_correction_that_names_another_animal_than_the_half_is_on_waits(
    clinic, alice, orphan, biscuit, olive
):
    part = split(alice, orphan)
    one, other = match(alice, orphan, biscuit), match(alice, part, olive)
    send(clinic, report(run(KIDNEY, "8"), version=2, patient_name="Biscuit"))
    assert values(other) == [(KIDNEY, "6.13")]
    assert values(one) == [(CBC, "6.13")]
    assert UnmatchedResult.objects.get(state="open").reason == "conflict"


def test_neither_half_may_be_empty_and_nothing_of_another_orphan_comes_along(alice, orphan):
    other = factories.make_unmatched(orphan.clinic)
    for runs in ([], orphan.runs.values_list("pk", flat=True), [other.runs.get().pk]):
        with pytest.raises(InvalidInput):
            splitting.split(
                acting_user=alice, unmatched=orphan, runs=runs, expected_version=orphan.version
            )
        orphan.refresh_from_db()
    assert UnmatchedResult.objects.count() == 2
    assert TestRun.objects.filter(unmatched=orphan).count() == 2


def test_one_that_is_matched_is_taken_back_first(alice, orphan, biscuit):
    match(alice, orphan, biscuit)
    with pytest.raises(InvalidInput, match="matched"):
        split(alice, orphan)


def test_the_second_of_two_who_split_is_told(alice, orphan):
    seen = orphan.version
    split(alice, orphan)
    with pytest.raises(Stale, match="alice"):
        splitting.split(acting_user=alice, unmatched=orphan, runs=[1], expected_version=seen)


def test_a_held_one_stays_held(alice, orphan):
    matching.hold(
        acting_user=alice, unmatched=orphan, expected_version=orphan.version, reason="Ask"
    )
    part = split(alice, orphan)
    orphan.refresh_from_db()
    assert (orphan.state, orphan.state_reason, part.state) == ("held", "Ask", "open")


def test_neither_half_is_filed_by_an_emergency_code(clinic, alice, biscuit):
    code = emergency_codes.give(acting_user=alice, clinic=clinic)
    sent = factories.make_report(
        [run(CBC), run(KIDNEY)], external_id="7", identity=Identity(patient_id=code.code)
    )
    orphan = factories.make_unmatched(clinic, sent)
    split(alice, orphan)
    assert emergency.choose(acting_user=alice, code=code, patient=biscuit) == (0, 1)
