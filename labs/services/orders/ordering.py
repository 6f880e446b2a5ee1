"""Placing and cancelling lab requests."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models import Q
from django.utils import timezone

from labs import clock, roles, vendors
from labs.errors import InvalidInput, Stale
from labs.models import (
    LabRequest,
    Link,
    Panel,
    Patient,
    Priority,
    RequestedTest,
    RequestState,
    Specimen,
    Submission,
    SubmissionState,
)
from labs.services.events import record
from labs.services.orders import order_forms, outbox, states, submissions
from labs.services.orders.orderable import require_analyzers, require_species
from labs.services.registry.patients import keep_standing, require_animal

if TYPE_CHECKING:
    from django.contrib.auth.models import User


@dataclass(frozen=True, kw_only=True)
class Collection:
    """How the specimens of a request were taken; one per type of specimen that its panels need."""

    collected_at: datetime | None = None
    collected_by: str = ""
    label: str = ""
    fasting: bool | None = None


NOT_RECORDED = Collection()


def place_request(
    *,
    acting_user: User | None,
    patient: Patient,
    panels: Sequence[Panel],
    doctor: str = "",
    notes: str = "",
    priority: str = Priority.ROUTINE,
    collection: Collection = NOT_RECORDED,
    beside: LabRequest | None = None,
    link: str = Link.ADD_ON,
    test: bool = False,
    form_key: UUID | None = None,
) -> LabRequest:
    """Order panels for a patient: request, outbox row and audit in one transaction; a worker is
    woken after the commit, and where the broker is down the sweeper sends it.

    `beside`: an earlier request of this patient to which the new one is linked. It has its own id
    and its own results all the same: what was sent under the earlier id is never changed. `test`:
    a test of the connection, for the patient that is no animal. `form_key`: of the form that was
    filled in; sent twice, it gives the request that it made the first time. The unique index
    decides, so that twenty at one moment order once.

    Raises InvalidInput for no panel, a deceased patient, a panel whose analyzer the clinic does not
    have or that is down, a species without a code, or a request of somebody else to stand beside;
    SentBefore where the form ordered something else before; Stale where the record was merged into
    another, whose name was not on the form; NotAllowed.
    """
    clinic = patient.clinic
    roles.require(acting_user, clinic, "order")
    panels = list(dict.fromkeys(panels))
    if not panels:
        raise InvalidInput("Choose at least one test.")
    if patient.deceased:
        raise InvalidInput(f"{patient} is recorded as deceased. Correct the record first.")
    if not test:
        require_animal(patient)
    require_analyzers(patient, panels)
    require_species(patient)
    if beside and beside.patient_id != patient.pk:
        raise InvalidInput(f"{beside} is not a request for {patient}.")
    fields: dict[str, Any] = {
        "doctor": doctor,
        "notes": notes,
        "priority": priority,
        "first": beside and (beside.first or beside),
        "link": link if beside else "",
    }
    try:
        return _place(
            acting_user=acting_user,
            patient=patient,
            panels=panels,
            collection=collection,
            beside=beside,
            form_key=form_key,
            **fields,
        )
    except IntegrityError:
        made = order_forms.made_before(
            form_key,
            acting_user=acting_user,
            patient=patient,
            panels=panels,
            specimen=asdict(collection),
            **fields,
        )
        if made is None:
            raise
        return made


def _place(
    *,
    acting_user: User | None,
    patient: Patient,
    panels: Sequence[Panel],
    beside: LabRequest | None,
    link: str,
    **fields: Any,
) -> LabRequest:
    clinic = patient.clinic
    with transaction.atomic():
        if beside:
            # Whoever moves it to another patient at this moment is waited for.
            beside = submissions.locked(beside.pk)
            if beside.patient_id != patient.pk:
                raise Stale(
                    f"{beside} was moved to {beside.patient.name} in the meantime. Nothing was "
                    "ordered; look at it again."
                )
            fields["first"] = beside.first or beside
        request = create_request(
            acting_user=acting_user, patient=patient, panels=panels, link=link, **fields
        )
        vendor, at = vendors.default(), clock.now()
        submission = Submission.objects.create(
            clinic=clinic,
            request=request,
            vendor=vendor.name,
            not_before=at,
            woken_at=at,
        )
        record(
            "request.placed",
            clinic=clinic,
            acting_user=acting_user,
            source="command",
            request=request,
            tests=[panel.code for panel in panels],
            **({"link": link, "beside": beside.lab_report_id} if beside else {}),
        )
        if beside:
            record(
                f"request.{link}",
                clinic=clinic,
                acting_user=acting_user,
                source="command",
                request=beside,
                made=request.lab_report_id,
            )
        states.refresh(request)
        transaction.on_commit(lambda: vendor.wake(submission.pk))
    return request


def run_again(
    *,
    acting_user: User | None,
    request: LabRequest,
    form_key: UUID | None = None,
    seen_for: str = "",
) -> LabRequest:
    """The same tests for the same patient once more, as a request of its own beside this one. The
    specimen is a new one, of which nothing is recorded yet. `form_key` as for `place_request`;
    `seen_for`: uuid of the patient whose name was on the button.

    Raises InvalidInput as `place_request`, and where these tests are still waiting to be run, by
    this order or by a repeat of it; Stale where it was moved to another patient; NotAllowed.
    """
    panels = [test.panel for test in request.tests.select_related("panel")]
    if not panels:
        raise InvalidInput("Nothing was ordered with this request. Use “Add a test” instead.")
    if request.cancelled_at is None and not request.runs.exists():
        raise InvalidInput(
            f"Nothing has come for {request} yet. A second order beside it would run the tests "
            "twice; cancel this one first if it is not to be waited for."
        )
    with transaction.atomic():
        # Of two at one moment the second one waits here, and then finds the first one's order.
        submissions.locked(request.first_id or request.pk)
        request = submissions.locked(request.pk)
        if seen_for and str(request.patient.uuid) != seen_for:
            raise Stale(
                f"{request} was moved to {request.patient.name} in the meantime. Nothing was "
                "ordered; look at it again."
            )
        waiting = _waiting_repeat(request, panels, form_key)
        if waiting:
            raise InvalidInput(f"These tests are on order again already, as {waiting}.")
        return place_request(
            acting_user=acting_user,
            patient=request.patient,
            panels=panels,
            doctor=request.doctor,
            notes=request.notes,
            priority=request.priority,
            beside=request,
            link=Link.RERUN,
            form_key=form_key,
        )


def _waiting_repeat(
    request: LabRequest, panels: Sequence[Panel], form_key: UUID | None
) -> LabRequest | None:
    """A repeat of these tests that has no result yet, of another form than this: two people."""
    repeats = LabRequest.objects.filter(
        first=request.first_id or request.pk, link=Link.RERUN, tests__panel__in=panels
    )
    if form_key is not None:
        repeats = repeats.filter(Q(form_key=None) | ~Q(form_key=form_key))
    states = [RequestState.QUEUED, RequestState.SENT, RequestState.ACCEPTED]
    found: LabRequest | None = repeats.filter(state__in=states).distinct().first()
    return found


def create_request(
    *,
    acting_user: User | None,
    patient: Patient,
    panels: Sequence[Panel],
    doctor: str = "",
    notes: str = "",
    priority: str = Priority.ROUTINE,
    collection: Collection = NOT_RECORDED,
    retrospective: bool = False,
    first: LabRequest | None = None,
    link: str = "",
    form_key: UUID | None = None,
) -> LabRequest:
    """The rows of a request alone, in the caller's transaction: also what a match makes afterwards
    for a result that nobody had requested. Raises Stale for a record that was merged away."""
    keep_standing(patient)
    request = LabRequest.objects.create(
        clinic=patient.clinic,
        patient=patient,
        requested_by=acting_user,
        requested_at=timezone.now(),
        doctor=doctor,
        notes=notes,
        priority=priority,
        retrospective=retrospective,
        first=first,
        link=link,
        form_key=form_key,
    )
    Patient.objects.heard_of({patient.pk: request.requested_at})
    specimens = {
        type_: Specimen.objects.create(
            request=request,
            type=type_,
            collected_at=collection.collected_at,
            collected_by=collection.collected_by,
            label=collection.label,
            fasting=collection.fasting,
        )
        for type_ in dict.fromkeys(panel.specimen_type for panel in panels)
    }
    RequestedTest.objects.bulk_create(
        RequestedTest(
            request=request,
            panel=panel,
            specimen=specimens[panel.specimen_type],
            position=position,
            test_request_id=f"{request.lab_report_id}-{position}",
        )
        for position, panel in enumerate(panels, start=1)
    )
    return request


def add_tests(request: LabRequest, panels: Sequence[Panel]) -> None:
    """To a retrospective request, in the caller's transaction that has locked it: what was run for
    the same reason and came apart. What was ordered is never changed so."""
    if not request.retrospective:
        raise InvalidInput("Only a request made for results that had none can get tests added.")
    has = {test.panel_id: test.position for test in request.tests.all()}
    fresh = [panel for panel in panels if panel.pk not in has]
    RequestedTest.objects.bulk_create(
        RequestedTest(
            request=request,
            panel=panel,
            position=position,
            test_request_id=f"{request.lab_report_id}-{position}",
        )
        for position, panel in enumerate(fresh, start=max(has.values(), default=0) + 1)
    )


def cancel_request(*, acting_user: User | None, request: LabRequest, reason: str) -> str:
    """Cancel here, also while it is being sent. There is no way to cancel at the laboratory: what
    it has, or may have, must be removed at the analyzer, and a result that comes all the same is
    held for a person. Returns which of it holds, in a sentence for staff.

    Raises InvalidInput where results are already there, NotAllowed.
    """
    roles.require(acting_user, request.clinic, "order")
    with transaction.atomic():
        # The head row's lock: a result that is being filed at this moment is seen, or sees this.
        now = submissions.locked(request.pk)
        if now.cancelled_at is not None:
            return "It was cancelled already."
        if now.runs.exists():
            raise InvalidInput("Results have already come; this request can't be cancelled.")
        # Of an order that is being claimed at this moment one of us waits for the other. What is
        # under way is settled by its worker, which finds `cancelled_at`.
        Submission.objects.filter(request=now, state__in=outbox.WAITING).update(
            state=SubmissionState.CANCELLED
        )
        there = outbox.may_be_there(now)
        now.cancelled_at = timezone.now()
        now.cancelled_reason = reason[:200]
        now.save(update_fields=["cancelled_at", "cancelled_reason"])
        record(
            "request.cancelled",
            clinic=now.clinic,
            acting_user=acting_user,
            request=now,
            may_be_at_the_laboratory=there,
        )
        states.refresh(now)
    request.refresh_from_db()
    if there:
        return (
            "Cancelled here. The laboratory has the order, or may have it: remove it at the "
            "analyzer too."
        )
    return "Cancelled. The laboratory does not have it: there is nothing to remove at the analyzer."
