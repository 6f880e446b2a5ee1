"""`celery --app tests.faults.sabotaged_worker`: the product's worker, broken on purpose in the way
that SABOTAGE names. What is proven by tests that cannot fail is worth nothing."""

from __future__ import annotations

import os
import uuid
from typing import Any

from celery.signals import worker_init
from django.db.models import F
from django.utils import timezone

from pims.wsgi import application  # sets Django up, so it comes first

# isort: split
from labs.models import Submission
from labs.services.orders import submissions
from pims.celery import app

__all__ = ["app", "application"]

SABOTAGE = os.environ.get("SABOTAGE", "")
settle = submissions._settle


def claim_without_condition(submission_id: int) -> submissions.Claim | None:
    """Look, then write."""
    row = Submission.objects.filter(pk=submission_id).first()
    if row is None or row.state not in ("queued", "unknown", "sending"):
        return None
    lease = uuid.uuid4()
    now = timezone.now()
    Submission.objects.filter(pk=submission_id).update(
        state="sending",
        attempts=F("attempts") + 1,
        first_attempt_at=now,
        lease=lease,
        lease_until=now + submissions.LEASE,
    )
    found = Submission.objects.select_related(
        "clinic", "request__clinic", "request__patient__owner", "request__requested_by"
    ).get(pk=submission_id)
    return submissions.Claim(submission=found, lease=lease)


def settle_without_lease(claim: submissions.Claim, state: str, **given: Any) -> bool:
    Submission.objects.filter(pk=claim.submission.pk).update(state="sending", lease=claim.lease)
    return settle(claim, state, **given)


if SABOTAGE == "claim without condition":
    submissions.claim = claim_without_condition
    submissions.about_to_send = lambda claim, body: True
elif SABOTAGE == "settle without lease":
    submissions._settle = settle_without_lease
elif SABOTAGE == "early acknowledgement":

    @worker_init.connect
    def _early(**_: Any) -> None:
        app.tasks["integrations.heska.tasks.deliver"].acks_late = False
