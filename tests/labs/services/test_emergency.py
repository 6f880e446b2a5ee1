"""A code now, the patient later: only the whole code leads to the patient whom a person chose."""

from __future__ import annotations

import threading
from datetime import timedelta
from itertools import combinations
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connections
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from labs.errors import InvalidInput, NotAllowed
from labs.ids import READABLE
from labs.models import (
    Clinic,
    EmergencyCode,
    LabEvent,
    LabRequest,
    Patient,
    UnmatchedResult,
)
from labs.report import Identity
from labs.services.orders import emergency, emergency_codes
from labs.services.orphaned import matching
from tests.factories import (
    make_clinic,
    make_patient,
    make_report,
    make_row,
    make_run,
    make_staff,
    make_unmatched,
)

pytestmark = pytest.mark.django_db

WORDS = st.text(READABLE, min_size=4, max_size=4)


@pytest.fixture
def clinic() -> Clinic:
    return make_clinic()


@pytest.fixture
def alice(clinic: Clinic) -> User:
    return make_staff(username="alice", clinic=clinic)


@pytest.fixture
def biscuit(clinic: Clinic) -> Patient:
    return make_patient(clinic, name="Biscuit", patient_id="P-1", species="dog", sex="M")


@pytest.fixture
def code(clinic: Clinic, alice: User) -> EmergencyCode:
    return emergency_codes.give(acting_user=alice, clinic=clinic)


def came(code: EmergencyCode, patient_id: str = "", **typed: Any) -> UnmatchedResult:
    """A result with that code; the animal is not named, as in an emergency."""
    test = typed.pop("test", "HHEM-1")
    identity = {"patient_id": patient_id or code.code, **typed}
    report = make_report(
        [make_run([make_row(flag="LL")], test_code=test, test_name=test)],
        external_id=f"R-{UnmatchedResult.objects.count()}",
        identity=Identity(**identity),
    )
    return make_unmatched(code.clinic, report)


def choose(code: EmergencyCode, patient: Patient, by: User) -> tuple[int, int]:
    return emergency.choose(acting_user=by, code=code, patient=patient)


def patients_of(*orphans: UnmatchedResult) -> list[Patient | None]:
    found = []
    for orphan in orphans:
        request = orphan.runs.get().request
        found.append(request.patient if request else None)
    return found


# ---- the codes


@given(WORDS, WORDS)
def test_two_codes_differ_in_two_places(one: str, other: str) -> None:
    codes = [emergency_codes._complete(start) for start in (one, other)]
    places = sum(a != b for a, b in zip(*codes, strict=True))
    assert places == 0 or places >= 2


@given(WORDS, st.integers(0, 4), st.sampled_from(READABLE))
def test_one_sign_wrong_or_two_exchanged_is_no_code(start: str, place: int, sign: str) -> None:
    code = emergency_codes._complete(start)
    assert emergency_codes.is_code(code)
    wrong = code[:place] + sign + code[place + 1 :]
    assert emergency_codes.is_code(wrong) == (wrong == code)
    for one, other in combinations(range(5), 2):
        signs = list(code)
        signs[one], signs[other] = signs[other], signs[one]
        exchanged = "".join(signs)
        assert emergency_codes.is_code(exchanged) == (exchanged == code)


def test_no_sign_is_taken_for_another() -> None:
    assert not set("01OIL") & set(READABLE)
    assert len(READABLE) == 31  # a prime, on which the check rests


def test_a_code_is_given_once_for_ever(
    clinic: Clinic, code: EmergencyCode, monkeypatch: pytest.MonkeyPatch
) -> None:
    emergency_codes.close(acting_user=None, code=code)
    make_patient(clinic, patient_id=emergency_codes._complete("2222").lower())
    starts = iter([*code.code[:4], *"2222", *"3333"])
    monkeypatch.setattr(emergency_codes.secrets, "choice", lambda _: next(starts))
    fresh = emergency_codes.give(acting_user=None, clinic=clinic)
    assert fresh.code == emergency_codes._complete("3333")  # not a used one, nor a patient's id


# ---- results that come


def test_results_gather_and_go_to_the_patient_chosen_later(
    code: EmergencyCode, biscuit: Patient, alice: User
) -> None:
    first = came(code)
    second = came(code, f" {code.code[:2]}-{code.code[2:].lower()} ", test="HDC-1")
    assert [orphan.emergency for orphan in (first, second)] == [code, code]
    assert patients_of(first, second) == [None, None]
    assert choose(code, biscuit, alice) == (2, 0), [
        orphan.contradictions for orphan in code.results.all()
    ]
    assert patients_of(first, second) == [biscuit, biscuit]
    request = LabRequest.objects.get()  # one for both, with the tests of both, to be reviewed
    assert request.retrospective and request.state == "complete" and request.reviewed_at is None
    assert sorted(request.tests.values_list("panel__code", "state")) == [
        ("HDC-1", "complete"),
        ("HHEM-1", "complete"),
    ]


def test_a_result_that_comes_after_the_choice_files_itself(
    code: EmergencyCode, biscuit: Patient, alice: User
) -> None:
    assert choose(code, biscuit, alice) == (0, 0)
    orphan = came(code)
    assert orphan.state == "matched" and patients_of(orphan) == [biscuit]
    [decision] = orphan.decisions.all()
    assert decision.actor is None and decision.evidence == {
        "emergency_code": code.code,
        "chosen_by": alice.pk,
    }
    event = LabEvent.objects.get(verb="unmatched.match")
    assert (event.source, event.patient) == ("emergency code", biscuit)


@pytest.mark.parametrize(
    "typed",
    [
        {"patient_name": "REX"},
        {"species": "Feline", "species_code": "cat"},
        {"sex": "F", "sex_code": "F"},
    ],
)
@pytest.mark.parametrize("chosen_first", [True, False])
def test_what_contradicts_the_patient_is_an_ordinary_orphan(
    typed: dict[str, str],
    chosen_first: bool,
    code: EmergencyCode,
    biscuit: Patient,
    alice: User,
) -> None:
    if chosen_first:
        choose(code, biscuit, alice)
        orphan = came(code, **typed)
    else:
        orphan = came(code, **typed)
        assert choose(code, biscuit, alice) == (0, 1)
        orphan.refresh_from_db()
    assert orphan.state == "open" and patients_of(orphan) == [None]
    assert "the code is for Biscuit" in orphan.contradictions[0] or "Biscuit is" in str(
        orphan.contradictions
    )


@pytest.mark.parametrize("chosen_first", [True, False])
def test_a_second_pet_name_is_an_ordinary_orphan(
    chosen_first: bool, code: EmergencyCode, biscuit: Patient, alice: User
) -> None:
    if chosen_first:
        choose(code, biscuit, alice)
    first, second = came(code, patient_name="biscuit"), came(code, patient_name="REX")
    if not chosen_first:
        assert choose(code, biscuit, alice) == (1, 1)
    assert patients_of(first, second) == [biscuit, None]
    assert "another animal" in second.contradictions[0]
    assert second.emergency == code  # so that the code's page shows it


@pytest.mark.parametrize("chosen_first", [True, False])
def test_with_two_animals_under_a_code_one_without_a_name_is_nobodys(
    chosen_first: bool, code: EmergencyCode, biscuit: Patient, alice: User
) -> None:
    if chosen_first:
        choose(code, biscuit, alice)
    named = came(code, patient_name="BISCUIT"), came(code, patient_name="REX")
    nameless = came(code)
    if not chosen_first:
        assert choose(code, biscuit, alice) == (1, 2)
    assert patients_of(*named, nameless) == [biscuit, None, None]


def test_the_code_typed_as_the_name_too_names_nobody(
    code: EmergencyCode, biscuit: Patient, alice: User
) -> None:
    orphans = came(code, patient_name=code.code.lower()), came(code, patient_name="BISCUIT")
    assert choose(code, biscuit, alice) == (2, 0)
    assert patients_of(*orphans) == [biscuit, biscuit]


def test_an_expired_or_closed_code_files_nothing(
    code: EmergencyCode, biscuit: Patient, alice: User
) -> None:
    choose(code, biscuit, alice)
    EmergencyCode.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    expired = came(code)
    assert patients_of(expired) == [None] and "had expired" in expired.contradictions[0]
    EmergencyCode.objects.update(expires_at=timezone.now() + timedelta(hours=1))
    emergency_codes.close(acting_user=alice, code=code)
    closed = came(code)
    assert patients_of(closed) == [None] and "was closed" in closed.contradictions[0]
    with pytest.raises(InvalidInput, match="closed"):
        choose(code, biscuit, alice)


def test_what_came_before_the_end_can_still_be_given_a_patient(
    code: EmergencyCode, biscuit: Patient, alice: User
) -> None:
    orphan = came(code)
    EmergencyCode.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    assert choose(code, biscuit, alice) == (1, 0)
    assert patients_of(orphan) == [biscuit]


def test_a_code_that_became_a_patients_id_decides_nothing(
    clinic: Clinic, code: EmergencyCode, biscuit: Patient, alice: User
) -> None:
    choose(code, biscuit, alice)
    make_patient(clinic, patient_id=code.code)
    orphan = came(code)
    assert patients_of(orphan) == [None] and "also the id of a patient" in orphan.contradictions[0]


def test_a_mistyped_code_is_said_and_used_for_nothing(
    code: EmergencyCode, biscuit: Patient, alice: User
) -> None:
    choose(code, biscuit, alice)
    wrong = next(sign for sign in READABLE if sign != code.code[0]) + code.code[1:]
    orphan = came(code, wrong)
    assert orphan.emergency is None and patients_of(orphan) == [None]
    assert orphan.contradictions == [
        f"Patient id {wrong} is one sign away from the open emergency code {code.code}."
    ]


def test_another_clinics_code_is_nobodys(code: EmergencyCode, biscuit: Patient) -> None:
    emergency.choose(acting_user=None, code=code, patient=biscuit)
    elsewhere = make_unmatched(make_clinic(), make_report(identity=Identity(patient_id=code.code)))
    assert elsewhere.emergency is None and patients_of(elsewhere) == [None]
    with pytest.raises(InvalidInput, match="not in the clinic"):
        emergency.choose(acting_user=None, code=code, patient=make_patient(make_clinic()))


def test_a_match_taken_back_ends_the_code(
    code: EmergencyCode, biscuit: Patient, alice: User
) -> None:
    choose(code, biscuit, alice)
    orphan = came(code)
    other = make_patient(code.clinic, name="Rex")
    with pytest.raises(InvalidInput, match="already"):
        choose(code, other, alice)
    matching.unmatch(
        acting_user=alice,
        unmatched=orphan,
        expected_version=orphan.version,
        reason="It was Rex",
    )
    code.refresh_from_db()
    assert code.closed_at is not None
    assert patients_of(orphan, came(code)) == [None, None]


def test_a_deceased_animal_gets_nothing(code: EmergencyCode, biscuit: Patient) -> None:
    emergency.choose(acting_user=None, code=code, patient=biscuit)
    Patient.objects.update(deceased=True)
    orphan = came(code)
    assert patients_of(orphan) == [None] and "deceased" in orphan.contradictions[0]


def test_a_patient_may_be_changed_while_nothing_is_filed(
    code: EmergencyCode, biscuit: Patient, alice: User
) -> None:
    rex = make_patient(code.clinic, name="Rex")
    choose(code, biscuit, alice)
    choose(code, rex, alice)
    assert patients_of(came(code)) == [rex]


def test_who_does_not_work_there_gives_and_chooses_nothing(
    code: EmergencyCode, biscuit: Patient
) -> None:
    stranger = make_staff(username="stranger", clinic=make_clinic())
    with pytest.raises(NotAllowed):
        emergency_codes.give(acting_user=stranger, clinic=code.clinic)
    with pytest.raises(NotAllowed):
        choose(code, biscuit, stranger)
    with pytest.raises(NotAllowed):
        emergency_codes.close(acting_user=stranger, code=code)


def test_what_a_colleague_holds_stays_held(
    code: EmergencyCode, biscuit: Patient, alice: User
) -> None:
    held, other = came(code), came(code, test="HDC-1")
    matching.hold(
        acting_user=alice,
        unmatched=held,
        expected_version=held.version,
        reason="I think this is the other dog",
    )
    assert choose(code, biscuit, alice) == (1, 1)
    held.refresh_from_db()
    assert held.state == "held" and patients_of(held, other) == [None, biscuit]


@pytest.mark.django_db(transaction=True)
def test_choosing_while_more_comes_neither_blocks_nor_forgets() -> None:
    """Filing holds the orphan that a result may continue and wants the code; choosing holds the
    code and wants the orphan. Where they waited for each other, one of them was thrown out."""
    clinic = make_clinic()
    failed: list[BaseException] = []

    def result(code: EmergencyCode) -> None:
        report = make_report(
            [make_run(test_code="HHEM-1")],
            external_id=f"R-{code}",
            identity=Identity(patient_id=code.code),
        )
        make_unmatched(clinic, report)

    def run(*act: Any) -> None:
        try:
            act[0](*act[1:])
        except Exception as error:
            failed.append(error)
        finally:
            connections.close_all()

    for _ in range(5):
        patient = make_patient(clinic)
        code = emergency_codes.give(acting_user=None, clinic=clinic)
        result(code)
        acts = [
            (result, code),
            (lambda c, p: emergency.choose(acting_user=None, code=c, patient=p), code, patient),
            (result, code),
        ]
        threads = [threading.Thread(target=run, args=act) for act in acts]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert failed == []
        (orphan,) = code.results.all()  # one report, so one orphan
        runs = orphan.runs.select_related("request")
        assert [run.request and run.request.patient_id for run in runs] == [patient.pk] * 3
