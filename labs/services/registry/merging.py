"""Two records of one animal become one, and two again. The record that is merged away stays, points
to the other and gets nothing more; what was on it stands on the other. What moved is written down
row by row, so that taking it back puts exactly that back, and nothing that came meanwhile (I2)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from django.db import transaction
from django.utils import timezone

from labs import roles
from labs.errors import InvalidInput, Stale
from labs.models import (
    LabRequest,
    LabResult,
    MatchDecision,
    Merge,
    Patient,
    Review,
    ReviewState,
    TestRun,
    UnmatchedResult,
    vocabulary,
)
from labs.services.events import record
from labs.services.orders import emergency_codes, states
from labs.services.orphaned import matching
from labs.services.orphaned.decisions import SEPARATED
from labs.services.registry import merged_rows
from labs.services.registry.patients import require_animal
from labs.services.reviews import alarms, species

if TYPE_CHECKING:
    from django.contrib.auth.models import User


def seen_key(*patients: Patient) -> str:
    """What a person decides by; both records must still read so when they do."""
    columns = (
        "pk",
        "name",
        "patient_id",
        "owner_id",
        *merged_rows.FILLED,
        "species",
        "deceased",
        "deceased_on",
    )
    return "|".join(str(getattr(each, name)) for each in patients for name in columns)


def merge(*, acting_user: User | None, survivor: Patient, merged: Patient, seen: str = "") -> Merge:
    """Take `merged` for the same animal as `survivor`. Its requests with all their results, its
    visits, weighings and emergency codes go over, and what `survivor` does not say is filled in.
    `seen`: `seen_key` of both as they were shown.

    Raises InvalidInput for one and the same record, one of another clinic or the patient of test
    orders; Stale where either was changed or merged meanwhile, or something was just ordered;
    NotAllowed.
    """
    clinic = survivor.clinic
    roles.require(acting_user, clinic, "merge")
    if merged.clinic_id != clinic.pk:
        raise InvalidInput("This patient is not in the clinic.")
    if merged.pk == survivor.pk:
        raise InvalidInput("These are not two records but one.")
    for each in (survivor, merged):
        require_animal(each)
    with transaction.atomic():
        emergency_codes.alone(clinic)
        requests = _locked(LabRequest.objects.filter(patient=merged))
        survivor, merged = _both(survivor, merged)
        _still_two(survivor, merged)
        if seen and seen != seen_key(survivor, merged):
            raise Stale("One of the two records was changed in the meantime. Look at both again.")
        if LabRequest.objects.filter(patient=merged).exclude(pk__in=requests).exists():
            raise Stale(f"Something was ordered for {merged} just now. Look at both again.")
        moved = merged_rows.move(requests, survivor, merged)
        _hold(requests, survivor)
        Patient.objects.filter(pk=merged.pk).update(merged_into=survivor)
        made = Merge.objects.create(
            clinic=clinic,
            merged=merged,
            into=survivor,
            at=timezone.now(),
            by=acting_user,
            moved=moved,
        )
        _record("patient.merged", made, acting_user)
    return made


def undo(*, acting_user: User | None, merge: Merge, reason: str) -> Merge:
    """Two records again: what moved goes back, with what came for those requests since. What came
    otherwise stays where it is, and an unmatched result that was put on one of those requests since
    waits in the queue again: nobody has said of which of the two animals it is. `came` of what is
    returned names all of it.

    Raises InvalidInput without a reason, or where the other record was itself merged away since;
    Stale where somebody was faster; NotAllowed.
    """
    roles.require(acting_user, merge.clinic, "merge")
    if not reason.strip():
        raise InvalidInput("Say why the two records are separated again.")
    with transaction.atomic():
        emergency_codes.alone(merge.clinic)
        merge = (
            Merge.objects.select_for_update(of=("self",))
            .select_related("clinic", "merged", "into__merged_into", "undone_by")
            .get(pk=merge.pk)
        )
        into, merged = merge.into, merge.merged
        if merge.undone_at is not None:
            raise Stale(f"{_who(merge.undone_by)} has separated these records already.")
        if into.merged_into is not None:
            raise InvalidInput(
                f"{into} was itself merged into {into.merged_into} since. Take that back first."
            )
        came = came_since(merge)
        _back_to_the_queue(merge, came, acting_user)
        going = merged_rows.going_back(merge)
        _locked(LabRequest.objects.filter(pk__in=going))
        if came_since(merge).queue:
            raise Stale("A result was matched to one of these requests just now. Look again.")
        into, merged = _both(into, merged)
        merged_rows.move_back(merge, into, merged)
        _hold(going, merged)
        _look_again(merge, going)
        Patient.objects.filter(pk=merged.pk).update(merged_into=None)
        merge.undone_at, merge.undone_by = timezone.now(), acting_user
        merge.undone_reason = reason.strip()[:200]
        merge.came = came.as_json()
        merge.save(update_fields=["undone_at", "undone_by", "undone_reason", "came"])
        _record("patient.unmerged", merge, acting_user, words=merge.undone_reason)
    return merge


@dataclass(frozen=True, kw_only=True)
class Came:
    """Primary keys of what came while two records were one. `stays`: requests that stay with the
    survivor; `back`: that go back, with a result that came since; `queue`: unmatched results that
    were put on one of those."""

    stays: list[int] = field(default_factory=list)
    back: list[int] = field(default_factory=list)
    queue: list[int] = field(default_factory=list)

    def as_json(self) -> dict[str, list[int]]:
        return {"stays": self.stays, "back": self.back, "queue": self.queue}


def came_since(merge: Merge) -> Came:
    """Five statements."""
    going = set(merged_rows.going_back(merge))
    own = LabRequest.objects.filter(patient=merge.into_id)
    put = MatchDecision.objects.filter(active=True, request__in=going, at__gte=merge.at)
    queue = sorted(put.values_list("unmatched", flat=True))
    fresh = LabResult.objects.filter(run__request__in=own, received_at__gte=merge.at)
    touched = set(fresh.exclude(run__unmatched__in=queue).values_list("run__request", flat=True))
    matched = own.filter(matchdecision__active=True, matchdecision__at__gte=merge.at)
    ordered = own.filter(requested_at__gte=merge.at)
    new = {pk for rows in (matched, ordered) for pk in rows.values_list("pk", flat=True)}
    return Came(stays=sorted((touched | new) - going), back=sorted(touched & going), queue=queue)


def _who(user: User | None) -> str:
    return user.get_username() if user else "somebody"


def _locked(rows: Any) -> list[int]:
    """Before the records themselves, as whoever orders or matches takes them."""
    return list(rows.select_for_update().order_by("pk").values_list("pk", flat=True))


def _both(one: Patient, other: Patient) -> tuple[Patient, Patient]:
    """As they are now, locked until the end of the transaction, the clinic's names before them."""
    vocabulary.lock(one.clinic_id)
    rows = Patient.objects.select_for_update(of=("self",), no_key=True).select_related(
        "clinic", "owner"
    )
    found = {each.pk: each for each in rows.filter(pk__in=[one.pk, other.pk]).order_by("pk")}
    return found[one.pk], found[other.pk]


def _still_two(survivor: Patient, merged: Patient) -> None:
    for each in (merged, survivor):
        if each.merged_into_id is not None:
            last = each.merges.select_related("by", "into").get(undone_at=None)
            raise Stale(
                f"{_who(last.by)} has merged {each} into {last.into} in the meantime. Look at what "
                "is there now."
            )


def _back_to_the_queue(merge: Merge, came: Came, acting_user: User | None) -> None:
    """In the order in which everybody locks: what was put on the requests before the requests."""
    rows = UnmatchedResult.objects.select_for_update(of=("self",)).select_related("clinic")
    for orphan in list(rows.filter(pk__in=came.queue).order_by("pk")):
        matching.unmatch(
            acting_user=acting_user,
            unmatched=orphan,
            expected_version=orphan.version,
            reason=f"{merge.merged.patient_id} and {merge.into.patient_id} are two animals",
            evidence={SEPARATED: str(merge.uuid)},
        )


def _look_again(merge: Merge, requests: list[int]) -> None:
    """Whoever signed or acknowledged a result since the merge did so of the other animal."""
    runs = TestRun.objects.filter(request__in=requests)
    alarms.another_animals(runs, since=merge.at)
    signed = Review.objects.filter(run__in=runs, reviewed_at__gte=merge.at).values("run")
    touched = runs.filter(pk__in=signed).exclude(review_state=ReviewState.WAITING)
    opened = set(touched.values_list("request", flat=True))
    touched.update(review_state=ReviewState.WAITING)
    for request in LabRequest.objects.filter(pk__in=opened).order_by("pk"):
        states.refresh(request)


def _hold(requests: list[int], patient: Patient) -> None:
    """Their results are held against that animal's species."""
    rows = LabRequest.objects.filter(pk__in=requests).select_related("clinic")
    species.of_requests(rows.order_by("pk"), patient.species)


def _record(verb: str, merge: Merge, acting_user: User | None, **data: Any) -> None:
    """In the history of both records."""
    for whose in (merge.merged, merge.into):
        record(
            verb,
            clinic=merge.clinic,
            acting_user=acting_user,
            source="command",
            patient=whose,
            merge=str(merge.uuid),
            was=merge.merged.patient_id,
            to=merge.into.patient_id,
            **data,
        )
