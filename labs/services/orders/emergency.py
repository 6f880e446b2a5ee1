"""Emergency mode: a code now, the patient later. Nothing is filed by likeness: only the whole code,
typed as the patient id and open at that time, leads to the patient whom a person chose (I2)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from django.db import transaction
from django.utils import timezone

from labs import roles
from labs.errors import InvalidInput
from labs.ids import READABLE
from labs.models import Clinic, EmergencyCode, Patient, UnmatchedResult, UnmatchedState
from labs.report import Identity
from labs.services.events import record
from labs.services.intake.identity import against_record, differs, same_text
from labs.services.orders import emergency_codes as codes
from labs.services.orphaned import matching
from labs.services.registry.patients import followed, require_animal

if TYPE_CHECKING:
    from django.contrib.auth.models import User


def choose(*, acting_user: User | None, code: EmergencyCode, patient: Patient) -> tuple[int, int]:
    """Say whose the code is. What has come under it and contradicts nothing is filed on that
    patient now, what still comes as it comes. Returns how many results were filed, and how many
    wait in the queue because something speaks against it.

    Raises InvalidInput where the patient is of another clinic, or the code was closed or another
    patient has its results; NotAllowed.
    """
    roles.require(acting_user, code.clinic, "match")
    if patient.clinic_id != code.clinic_id:
        raise InvalidInput("This patient is not in the clinic that the code belongs to.")
    require_animal(patient)
    with transaction.atomic():
        codes.alone(code.clinic)
        code = codes.locked(code.pk)
        patient = followed(patient)
        if code.closed_at is not None:
            raise InvalidInput(
                f"Code {code} was closed. Match what came under it in the unmatched queue."
            )
        if code.patient is not None and code.patient != patient and code.request_id is not None:
            raise InvalidInput(
                f"Results of code {code} are on {code.patient.name}'s record already. Take those "
                "matches back first, each with its reason."
            )
        if code.patient != patient:
            code.patient = patient
            code.chosen_by, code.chosen_at = acting_user, timezone.now()
            code.save(update_fields=["patient", "chosen_by", "chosen_at"])
            record(
                "emergency.chosen",
                clinic=code.clinic,
                acting_user=acting_user,
                source="command",
                patient=patient,
                code=code.code,
            )
        waiting = list(code.results.filter(state__in=[UnmatchedState.OPEN, UnmatchedState.HELD]))
        # What a colleague holds, with a reason, is for a person.
        ready = [orphan for orphan in waiting if orphan.state == UnmatchedState.OPEN]
        filed = sum(file(code, orphan) for orphan in ready)
    return filed, len(waiting) - filed


def carried(clinic: Clinic, identity: Identity) -> tuple[EmergencyCode | None, list[str]]:
    """The code of this clinic that was typed as the patient id, locked, and what speaks against
    filing by it; sentences for people. One statement, and none where nothing like a code was typed.
    """
    typed = codes.as_typed(identity.patient_id)
    if len(typed) != codes.LENGTH or not set(typed) <= set(READABLE):
        return None, []
    if not codes.is_code(typed):
        return None, _meant(clinic, typed)
    code = codes.locked_or_none(clinic, typed)
    if code is None:
        return None, []
    against = []
    now = timezone.now()
    if code.closed_at is not None:
        against.append(f"Its emergency code {code} was closed before it came.")
    elif code.expires_at <= now:
        against.append(f"Its emergency code {code} had expired before it came.")
    if codes.is_a_patient_id(clinic, typed):
        against.append(f"{code} is an emergency code and also the id of a patient.")
    others = code.results.filter(contradictions=[])
    named = [_named(Identity(**other.typed), code).as_json() for other in others]
    if any(differs(other, _named(identity, code)) for other in named):
        against.append(
            f"It carries emergency code {code}, but speaks of another animal than an earlier "
            "result with this code."
        )
    return code, against


def file(code: EmergencyCode, unmatched: UnmatchedResult) -> bool:
    """Put an orphan that came under the code on the record of the patient chosen for it, in the
    caller's transaction, which has locked the code. False where nobody was chosen yet, or something
    speaks against it: then it waits in the queue, with the reason."""
    if code.patient is None or unmatched.contradictions:
        return False
    typed = _named(Identity(**unmatched.typed), code)
    against = against_record(typed, code.patient, "the code")
    if not typed.patient_name.strip() and _two_animals(code):
        against.append("Results of two animals came with this code, and this one names none.")
    if code.patient.deceased:
        against.append(f"{code.patient.name} is recorded as deceased.")
    if code.request is not None and code.request.cancelled_at is not None:
        against.append("The request that the code's results are filed on was cancelled.")
    if against:
        unmatched.contradictions = against
        unmatched.save(update_fields=["contradictions"])
        return False
    request = matching.match(
        acting_user=None,
        source="emergency code",
        unmatched=unmatched,
        patient=code.patient,
        request=code.request,
        expected_version=unmatched.version,
        reason=f"Emergency code {code}",
        evidence={"emergency_code": code.code, "chosen_by": code.chosen_by_id},
        retrospective_tests=True,
    )
    if code.request is None:
        code.request = request
        code.save(update_fields=["request"])
    return True


def _two_animals(code: EmergencyCode) -> bool:
    typed = [_named(Identity(**orphan.typed), code) for orphan in code.results.all()]
    names = [identity.patient_name for identity in typed if identity.patient_name.strip()]
    return any(not same_text(names[0], name) for name in names)


def _named(identity: Identity, code: EmergencyCode) -> Identity:
    """The code is nobody's id, however it was typed, and nobody's name where it was typed so."""
    nameless = codes.as_typed(identity.patient_name) == code.code
    return replace(identity, patient_id="", patient_name="" if nameless else identity.patient_name)


def _meant(clinic: Clinic, typed: str) -> list[str]:
    """One sign away from an open code: said to people, and used for nothing."""
    given: Iterable[str] = (
        EmergencyCode.objects.filter(clinic=clinic).open().values_list("code", flat=True)
    )
    return [
        f"Patient id {typed} is one sign away from the open emergency code {code}."
        for code in given
        if sum(one != other for one, other in zip(code, typed, strict=True)) == 1
    ]
