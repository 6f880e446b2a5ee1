"""Signing results. What is signed is what was seen; whatever changes it afterwards opens it
again."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet
from django.utils import timezone

from labs import roles
from labs.errors import InvalidInput, LabError, Stale
from labs.models import (
    Alarm,
    Clinic,
    LabRequest,
    LabResult,
    Observation,
    RequestedTest,
    RequestState,
    ResultStatus,
    Review,
    ReviewState,
    TestRun,
)
from labs.models.result import VOID_STATUSES, is_critical
from labs.services.events import record
from labs.services.intake import versions
from labs.services.orders import states
from labs.services.reviews import alarms

if TYPE_CHECKING:
    from django.contrib.auth.models import User

TO_REVIEW = (ReviewState.WAITING, ReviewState.CHANGED)


def sign(*, acting_user: User, request: LabRequest, expected_version: int, note: str = "") -> int:
    """Sign every run of the request that waits for it, as shown at `expected_version` of the
    request. A preliminary result is recorded as seen and stays open. Returns how many were signed.

    Raises Stale where something came in since the page was made, InvalidInput where nothing is
    there to sign, NotAllowed.
    """
    roles.require(acting_user, request.clinic, "review")
    with transaction.atomic():
        request = LabRequest.objects.select_for_update(of=("self",)).get(pk=request.pk)
        if request.version != expected_version:
            raise Stale("This result changed while you were reading. Read it again, then sign.")
        signed = 0
        for run in request.runs.exclude(review_state=ReviewState.REVIEWED):
            current = run.versions.get(current=True)
            Review.objects.create(
                clinic=request.clinic,
                run=run,
                result=current,
                reviewed_by=acting_user,
                reviewed_at=timezone.now(),
                note=note,
                seen=versions.snapshot(run, current),
            )
            alarms.acknowledge_signed(acting_user=acting_user, run=run, result=current)
            if current.status != ResultStatus.PRELIMINARY:
                run.review_state = ReviewState.REVIEWED
                run.save(update_fields=["review_state"])
            signed += 1
        if not signed:
            raise InvalidInput("There is nothing to sign here.")
        record(
            "result.reviewed",
            clinic=request.clinic,
            acting_user=acting_user,
            request=request,
        )
        states.refresh(request)
    return signed


def sign_many(
    *, acting_user: User, clinic: Clinic, chosen: Iterable[tuple[str, int]]
) -> tuple[int, list[str]]:
    """Sign several requests, each as at its own version (id and version), each in a transaction of
    its own. What holds something critical, or is not final, is never signed so. Returns how many
    were signed, and for each that was left a sentence why. Raises NotAllowed."""
    roles.require(acting_user, clinic, "review")
    signed, left = 0, []
    for lab_report_id, version in dict(chosen).items():
        rows = LabRequest.objects.filter(clinic=clinic, lab_report_id=lab_report_id)
        request = rows.select_related("clinic", "patient").first()
        if request is None:
            continue
        try:
            with transaction.atomic():
                # Locked before it is looked at: a correction that comes now is after the signature.
                rows.select_for_update(of=("self",)).get()
                if not together(rows).exists():
                    raise InvalidInput("it has to be opened and signed alone.")
                sign(acting_user=acting_user, request=request, expected_version=version)
                signed += 1
        except LabError as error:
            left.append(f"{request.patient}, {lab_report_id}: {error.message}")
    return signed, left


def together(requests: QuerySet[LabRequest]) -> QuerySet[LabRequest]:
    """Of those the ones that may be signed with others: complete, no version preliminary, none
    changed after a review, no file, nothing measured for another species, nothing critical, and
    nothing that raised an alarm, acknowledged or not."""
    runs = TestRun.objects.filter(request=OuterRef("pk"), review_state__in=TO_REVIEW)
    values = Observation.objects.filter(
        run__request=OuterRef("pk"), run__review_state__in=TO_REVIEW, current=True
    )
    foreign = values.exclude(result__species=None).exclude(
        result__species=OuterRef("patient__species")
    )
    return (
        requests.filter(state=RequestState.COMPLETE)
        .exclude(Exists(values.filter(is_critical())))
        .exclude(Exists(Alarm.objects.filter(run__request=OuterRef("pk"), stands=True)))
        .exclude(Exists(runs.filter(review_state=ReviewState.CHANGED)))
        .exclude(
            Exists(
                LabResult.objects.filter(
                    run__request=OuterRef("pk"), current=True, status=ResultStatus.PRELIMINARY
                )
            )
        )
        .exclude(Exists(values.filter(value_kind="attachment")))
        .exclude(Exists(foreign))
    )


def choose_run(
    *, acting_user: User, request: LabRequest, run: TestRun, expected_version: int
) -> None:
    """Of several runs of one requested test, report this one. Reversible by choosing another; the
    others stay visible, and count in no trend.

    Raises Stale, NotAllowed, InvalidInput where the run is no repeat or was cancelled.
    """
    roles.require(acting_user, request.clinic, "review")
    with transaction.atomic():
        request = LabRequest.objects.select_for_update(of=("self",)).get(pk=request.pk)
        if request.version != expected_version:
            raise Stale("This result changed while you were reading. Read it again, then choose.")
        runs = TestRun.objects.filter(
            request=request, requested_test=run.requested_test_id, versions__current=True
        ).exclude(versions__current=True, versions__status__in=VOID_STATUSES)
        choices = set(runs.values_list("pk", flat=True))
        if run.requested_test_id is None or run.pk not in choices or len(choices) < 2:
            raise InvalidInput(
                "This test was not run more than once, so there is nothing to choose."
            )
        RequestedTest.objects.filter(pk=run.requested_test_id).update(reported_run=run)
        record(
            "result.chosen",
            clinic=request.clinic,
            acting_user=acting_user,
            request=request,
            run=run.run_key,
        )
        states.touch(request)
