"""The queue of unmatched results, as the clinic works on it. Four statements."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db.models import Count, Max, Q, Sum
from django.utils import timezone

from labs.models import (
    Clinic,
    Flag,
    MatchDecision,
    Observation,
    TestRun,
    UnmatchedReason,
    UnmatchedResult,
    UnmatchedState,
)
from labs.queries.nav import age_tone
from labs.queries.paging import Page, page_of

MATCHED_FOR = timedelta(hours=48)
STATES = {
    "waiting": "Waiting",
    "held": "Held",
    "matched": "Matched in the last 48 hours",
    "dismissed": "Dismissed",
}
CRITICAL = [Flag.CRITICAL_LOW, Flag.CRITICAL_HIGH]
REASONS = {
    UnmatchedReason.NO_REQUEST: "Run without a request",
    UnmatchedReason.UNKNOWN_KEY: "Sent to an address that belongs to no request",
    UnmatchedReason.CONFLICT: "Contradicts the request it was sent for",
    UnmatchedReason.REQUEST_CANCELLED: "Its request was cancelled here",
}


@dataclass(frozen=True, kw_only=True)
class Row:
    orphan: UnmatchedResult
    tests: list[str]
    analyzers: list[str]
    rows: int
    critical: list[str]
    reason: str
    age: str
    decision: MatchDecision | None


@dataclass(frozen=True, kw_only=True)
class Queue:
    state: str
    counts: dict[str, int]
    page: Page[Row]


def queue(clinic: Clinic, state: str, number: int) -> Queue:
    now = timezone.now()
    orphans = UnmatchedResult.objects.filter(clinic=clinic)
    recent = Q(
        state=UnmatchedState.MATCHED,
        decisions__active=True,
        decisions__at__gte=now - MATCHED_FOR,
    )
    filters = {
        "waiting": Q(state__in=[UnmatchedState.OPEN, UnmatchedState.HELD]),
        "held": Q(state=UnmatchedState.HELD),
        "matched": recent,
        "dismissed": Q(state=UnmatchedState.DISMISSED),
    }
    counts = orphans.aggregate(
        **{
            name: Count("pk", filter=condition, distinct=True)
            for name, condition in filters.items()
        }
    )
    order = ("created_at", "pk") if state in ("waiting", "held") else ("-created_at", "-pk")
    page = page_of(
        orphans.filter(filters[state])
        .select_related("held_by", "suggested_request__patient", "emergency")
        .order_by(*order),
        number,
    )
    runs: dict[int, list[Any]] = defaultdict(list)
    for run in TestRun.objects.filter(unmatched__in=page.rows).annotate(
        shown=Count("observations", filter=Q(observations__current=True))
    ):
        runs[run.unmatched_id or 0].append(run)
    critical: dict[int, list[str]] = defaultdict(list)
    for row in Observation.objects.filter(
        Q(flag_delivered__in=CRITICAL) | Q(flag_delivered="", flag_computed__in=CRITICAL),
        run__unmatched__in=page.rows,
        current=True,
    ).select_related("run"):
        critical[row.run.unmatched_id or 0].append(f"{row.code} {row.value_text}")
    decisions = {
        decision.unmatched_id: decision
        for decision in MatchDecision.objects.filter(unmatched__in=page.rows)
        .select_related("actor", "patient__owner", "request")
        .order_by("pk")
    }
    return Queue(
        state=state,
        counts=counts,
        page=Page(
            rows=[
                Row(
                    orphan=orphan,
                    tests=list(
                        dict.fromkeys(run.test_name or run.test_code for run in runs[orphan.pk])
                    ),
                    analyzers=list(
                        dict.fromkeys(
                            run.analyzer_model for run in runs[orphan.pk] if run.analyzer_model
                        )
                    ),
                    rows=sum(run.shown for run in runs[orphan.pk]),
                    critical=critical[orphan.pk],
                    reason=REASONS[UnmatchedReason(orphan.reason)],
                    age=age_tone(orphan.created_at, now),
                    decision=decisions.get(orphan.pk),
                )
                for orphan in page.rows
            ],
            number=page.number,
            more=page.more,
        ),
    )


def version(clinic: Clinic) -> str:
    """Changes with each message and decision, and every minute because ages do. Two statements."""
    waiting = (
        UnmatchedResult.objects.waiting()
        .filter(clinic=clinic)
        .aggregate(n=Count("pk"), versions=Sum("version"), newest=Max("pk"))
    )
    decided = (
        MatchDecision.objects.filter(unmatched__clinic=clinic)
        .order_by("-pk")
        .values_list("pk", flat=True)
        .first()
    )
    return "-".join(
        str(part or 0) for part in (*waiting.values(), decided, f"{timezone.now():%H%M}")
    )
