from __future__ import annotations

from typing import TYPE_CHECKING, Any

from labs import quick
from labs.models import (
    Clinic,
    EventWords,
    LabEvent,
    LabRequest,
    Message,
    Patient,
    UnmatchedResult,
)

if TYPE_CHECKING:
    from django.contrib.auth.models import User


def record(verb: str, **what: Any) -> None:
    """Write one audit row, in the caller's transaction; see `event`. `words`: what a person wrote
    with it, the first 300 characters."""
    words = str(what.pop("words", ""))
    made = event(verb, **what)
    quick.insert(made)
    if words:
        EventWords.objects.create(event=made, text=words[: EventWords.LONGEST])


def save(happened: list[LabEvent]) -> None:
    """The same for several that were not written yet, in one statement."""
    if happened:
        quick.insert(*happened)


def event(
    verb: str,
    *,
    clinic: Clinic | None,
    acting_user: User | None = None,
    source: str = "system",
    patient: Patient | None = None,
    request: LabRequest | None = None,
    unmatched: UnmatchedResult | None = None,
    message: Message | None = None,
    **data: Any,
) -> LabEvent:
    """An audit row to be written. `data` holds ids and states, no names."""
    return LabEvent(
        verb=verb,
        clinic=clinic,
        actor=acting_user,
        source="" if acting_user else source,
        patient=patient or (request.patient if request else None),
        request=request,
        unmatched=unmatched,
        message=message,
        data=data,
    )
