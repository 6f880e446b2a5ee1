"""What moves between two records of one animal, row by row, and back."""

from __future__ import annotations

from typing import Any

from django.db.models import F
from django.utils import timezone

from labs.models import (
    EmergencyCode,
    LabRequest,
    Merge,
    Patient,
    RequestState,
    Sex,
    Submission,
    SubmissionState,
    Visit,
    Weight,
)
from labs.services.orders import outbox

# What the surviving record takes over where it says nothing itself, and what saying nothing is.
FILLED: dict[str, Any] = {
    "breed": "",
    "microchip": "",
    "sex": Sex.UNKNOWN,
    "neutered": None,
    "birth_date": None,
    "owner_id": None,
}
OVER = (RequestState.COMPLETE, RequestState.CANCELLED)
# Of these the order has not left, or never did.
HERE = [*outbox.WAITING, SubmissionState.CANCELLED]


def move(requests: list[int], survivor: Patient, merged: Patient) -> dict[str, Any]:
    """Returns what moved: of each request its key, whom the analyzer had it for, whom it has it for
    by this, and whether it had still to be sent."""
    at_visits = Visit.objects.filter(patient=survivor).values("at")
    visits = list(
        # Both records of one moment say the same visit.
        Visit.objects.filter(patient=merged).exclude(at__in=at_visits).values_list("pk", flat=True)
    )
    weights = list(Weight.objects.filter(patient=merged).values_list("pk", flat=True))
    codes = list(EmergencyCode.objects.filter(patient=merged).values_list("pk", flat=True))
    records = list(Patient.objects.filter(merged_into=merged).values_list("pk", flat=True))
    here, sent = _still_here(requests), _sent(requests)
    moved = []
    for pk, was, state in LabRequest.objects.filter(pk__in=requests).values_list(
        "pk", "sent_for", "state"
    ):
        now = was
        if was == survivor.pk:
            now = None
        elif was is None and state not in OVER and pk in sent and pk not in here:
            now = merged.pk
        moved.append([pk, was, now, pk in here])
    _give(moved, survivor)
    Visit.objects.filter(pk__in=visits).update(patient=survivor)
    Weight.objects.filter(pk__in=weights).update(patient=survivor)
    EmergencyCode.objects.filter(pk__in=codes).update(patient=survivor)
    Patient.objects.filter(pk__in=records).update(merged_into=survivor)
    if merged.latest_visit is not None:
        Patient.objects.heard_of({survivor.pk: merged.latest_visit})
    return {
        "requests": moved,
        "visits": visits,
        "weights": weights,
        "codes": codes,
        "records": records,
        "filled": _fill(survivor, merged),
    }


def _fill(survivor: Patient, merged: Patient) -> dict[str, str]:
    """What it took over, as text."""
    taken = {}
    for name, empty in FILLED.items():
        value = getattr(merged, name)
        if getattr(survivor, name) == empty and value != empty:
            setattr(survivor, name, value)
            taken[name] = str(value)
            if name == "birth_date":
                survivor.birth_date_estimated = merged.birth_date_estimated
    if taken:
        survivor.save()
    return taken


def _still_here(requests: list[int]) -> set[int]:
    """Orders that have not left; a worker that would claim one at this moment waits."""
    rows = Submission.objects.select_for_update().filter(
        request__in=requests, state__in=HERE, may_have_arrived=False
    )
    return set(rows.order_by("request").values_list("request", flat=True))


def _sent(requests: list[int]) -> set[int]:
    return set(Submission.objects.filter(request__in=requests).values_list("request", flat=True))


def _give(moved: list[list[Any]], patient: Patient) -> None:
    """One statement, and one more for each of those whom the analyzer still has them under."""
    pks = [pk for pk, *_ in moved]
    LabRequest.objects.filter(pk__in=pks).update(
        patient=patient, version=F("version") + 1, updated_at=timezone.now()
    )
    for whom in {now for _, was, now, _ in moved if now != was}:
        changed = [pk for pk, was, now, _ in moved if now == whom and now != was]
        LabRequest.objects.filter(pk__in=changed).update(sent_for=whom)


def going_back(merge: Merge) -> list[int]:
    """Requests that moved with it and that nobody has moved on since."""
    pks = [pk for pk, *_ in merge.moved["requests"]]
    rows = LabRequest.objects.filter(pk__in=pks, patient=merge.into_id)
    return list(rows.order_by("pk").values_list("pk", flat=True))


def move_back(merge: Merge, into: Patient, merged: Patient) -> None:
    moved = merge.moved
    then = {pk: (was, now, here) for pk, was, now, here in moved["requests"]}
    going = going_back(merge)
    here = _still_here(going)
    back = []
    for pk, now in LabRequest.objects.filter(pk__in=going).values_list("pk", "sent_for"):
        was, set_to, was_here = then[pk]
        if (was_here and pk not in here) or (now is None and set_to is not None):
            # It left, or left once more, under the name of the record that it stood on meanwhile.
            before: int | None = into.pk
        else:
            before = was if now == set_to else now
        back.append([pk, now, before, pk in here])
    _give(back, merged)
    own = Visit.objects.filter(patient=merged).values("at")
    Visit.objects.filter(pk__in=moved["visits"], patient=into).exclude(at__in=own).update(
        patient=merged
    )
    Weight.objects.filter(pk__in=moved["weights"], patient=into).update(patient=merged)
    EmergencyCode.objects.filter(pk__in=moved["codes"], patient=into).update(patient=merged)
    Patient.objects.filter(pk__in=moved["records"], merged_into=into).update(merged_into=merged)
    taken_back = {
        name: FILLED[name]
        for name, text in moved["filled"].items()
        if str(getattr(into, name)) == text
    }
    for name, empty in taken_back.items():
        setattr(into, name, empty)
    if "birth_date" in taken_back:
        into.birth_date_estimated = False
    if taken_back:
        into.save()
