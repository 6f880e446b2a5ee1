"""Emergency codes: typed at the analyzer as the patient id before anybody knows whose sample it is.
Short enough to be read aloud, and never to be mistaken for one another."""

from __future__ import annotations

import secrets
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from labs import roles
from labs.ids import READABLE
from labs.models import Clinic, EmergencyCode, LabRequest, Patient, UnmatchedResult
from labs.models.patient import with_own_id
from labs.services.events import record

if TYPE_CHECKING:
    from django.contrib.auth.models import User

OPEN_FOR = timedelta(hours=12)
FREE_SIGNS = 4
# The last sign checks the others: the weighted sum of all is a multiple of 31, a prime, so a code
# with one sign changed or two exchanged is no code, and any two codes differ in two places.
LENGTH = FREE_SIGNS + 1


def is_code(text: str) -> bool:
    """Whether it is well formed, whoever gave it."""
    return len(text) == LENGTH and all(sign in READABLE for sign in text) and _sum(text) == 0


def _sum(text: str) -> int:
    values = (READABLE.index(sign) for sign in text)
    return sum(weight * value for weight, value in enumerate(values, start=1)) % len(READABLE)


def _complete(start: str) -> str:
    return next(start + sign for sign in READABLE if _sum(start + sign) == 0)


def as_typed(text: str) -> str:
    """A patient id as a person may type a code: small letters, spaces and dashes do not count."""
    return "".join(sign for sign in text.upper() if sign.isalnum())


def give(
    *, acting_user: User | None, clinic: Clinic, note: str = "", form_key: UUID | None = None
) -> EmergencyCode:
    """A code that this clinic never had; where the form came before, the one that it gave then.
    Raises NotAllowed."""
    roles.require(acting_user, clinic, "order")
    now = timezone.now()
    with transaction.atomic():
        alone(clinic)
        rows = EmergencyCode.objects.filter(clinic=clinic, form_key=form_key)
        given: EmergencyCode | None = rows.first() if form_key is not None else None
        if given is not None:
            return given
        code = EmergencyCode.objects.create(
            clinic=clinic,
            code=_new(clinic),
            note=note.strip()[:100],
            made_by=acting_user,
            made_at=now,
            expires_at=now + OPEN_FOR,
            form_key=form_key,
        )
        record("emergency.given", clinic=clinic, acting_user=acting_user, code=code.code)
    return code


def _new(clinic: Clinic) -> str:
    while True:
        code = _complete("".join(secrets.choice(READABLE) for _ in range(FREE_SIGNS)))
        used = EmergencyCode.objects.filter(clinic=clinic, code=code).exists()
        if not used and not is_a_patient_id(clinic, code):
            return code


def is_a_patient_id(clinic: Clinic, code: str) -> bool:
    return Patient.objects.filter(with_own_id(code), clinic=clinic).exists()


def close(*, acting_user: User | None, code: EmergencyCode) -> None:
    """It is not needed any more: a result that still comes with it is an ordinary unmatched one.
    Raises NotAllowed."""
    roles.require(acting_user, code.clinic, "order")
    with transaction.atomic():
        alone(code.clinic)
        _close(locked(code.pk), acting_user)


def _close(code: EmergencyCode, acting_user: User | None) -> None:
    if code.closed_at is None:
        code.closed_at = timezone.now()
        code.save(update_fields=["closed_at"])
        record("emergency.closed", clinic=code.clinic, acting_user=acting_user, code=code.code)


def taken_back(*, acting_user: User | None, unmatched: UnmatchedResult) -> None:
    """A match of one of its results is taken back, so the code said the wrong thing: no other
    result follows it. In the caller's transaction, before the orphan is locked."""
    if unmatched.emergency_id is not None:
        alone(unmatched.clinic)
        _close(locked(unmatched.emergency_id), acting_user)


def request_moved(*, acting_user: User | None, request: LabRequest) -> None:
    """The request that a code's results are filed on goes to another animal: no other result
    follows the code. In the caller's transaction, before anything else is locked."""
    if EmergencyCode.objects.filter(request=request).exists():
        alone(request.clinic)
        for code in EmergencyCode.objects.filter(request=request):
            _close(locked(code.pk), acting_user)


def alone(clinic: Clinic) -> None:
    """Wait until nobody else at this clinic gives or decides about a code, or files an unmatched
    result: who does takes this lock first, so that no two wait for each other's orphan and code."""
    Clinic.objects.select_for_update(no_key=True).get(pk=clinic.pk)


def locked(pk: int) -> EmergencyCode:
    found: EmergencyCode = _rows().get(pk=pk)
    return found


def locked_or_none(clinic: Clinic, code: str) -> EmergencyCode | None:
    found: EmergencyCode | None = _rows().filter(clinic=clinic, code=code).first()
    return found


def _rows() -> Any:
    return EmergencyCode.objects.select_for_update(of=("self",)).select_related(
        "clinic", "patient", "request"
    )
