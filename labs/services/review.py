"""Signing results. What is signed is what was seen; whatever changes it afterwards opens it
again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import transaction
from django.utils import timezone

from labs import roles
from labs.errors import InvalidInput, Stale
from labs.models import (
    LabRequest,
    RequestedTest,
    ResultStatus,
    Review,
    ReviewState,
    TestRun,
)
from labs.models.result import VOID_STATUSES
from labs.services import states, versions
from labs.services.events import record

if TYPE_CHECKING:
    from django.contrib.auth.models import User


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
