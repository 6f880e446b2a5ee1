"""How long results usually take in a clinic, learnt from what it ordered before."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from datetime import timedelta

from django.db import transaction
from django.utils import timezone

from labs.models import Clinic, LabRequest, LabResult, RequestState, ResultStatus, Turnaround

# Fewer say nothing, and an order of last year says nothing of today's staff and analyzers.
FEWEST_RUNS = 10
NEWEST = 300
RECENT = timedelta(days=90)


def learn_all() -> int:
    """Every clinic's; how many rows there are then. Two statements a clinic to read, bounded by its
    newest requests, so it may be done every hour."""
    return sum(learn(clinic) for clinic in Clinic.objects.order_by("pk"))


def learn(clinic: Clinic) -> int:
    """Write anew how long that clinic's orders take on each analyzer; how many it can say it of."""
    now = timezone.now()
    requests = LabRequest.objects.filter(
        clinic=clinic,
        state=RequestState.COMPLETE,
        retrospective=False,  # nobody waited for those
        requested_at__gte=now - RECENT,
    ).order_by("-requested_at")
    keys = list(requests.values_list("pk", flat=True)[:NEWEST])
    first: dict[int, tuple[str, int]] = {}
    for run, model, ordered, came in (
        LabResult.objects.filter(
            run__request__in=keys,
            run__requested_test__isnull=False,
            status=ResultStatus.FINAL,
        )
        .order_by("-received_at")
        .values_list(
            "run",
            "run__requested_test__panel__analyzer_model",
            "run__request__requested_at",
            "received_at",
        )
    ):
        first[run] = model, max(0, int((came - ordered).total_seconds()))
    took: defaultdict[str, list[int]] = defaultdict(list)
    for model, seconds in first.values():
        took[model].append(seconds)
    rows = [
        Turnaround(
            clinic=clinic,
            analyzer_model=model,
            runs=len(seconds),
            usual_seconds=quantile(seconds, 0.5),
            slow_seconds=quantile(seconds, 0.9),
            learnt_at=now,
        )
        for model, seconds in took.items()
        if len(seconds) >= FEWEST_RUNS
    ]
    with transaction.atomic():
        Turnaround.objects.filter(clinic=clinic).delete()
        Turnaround.objects.bulk_create(rows, ignore_conflicts=True)  # of two that learn at once
    return len(rows)


def quantile(seconds: Sequence[int], share: float) -> int:
    """The smallest of them that so large a share does not exceed (nearest rank)."""
    rank = max(1, math.ceil(len(seconds) * share))
    return sorted(seconds)[rank - 1]
