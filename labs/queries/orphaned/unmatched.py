"""The queue of unmatched results, as the clinic works on it. Six statements, however long it is."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.contrib.auth.models import User
from django.db.models import Count, Exists, Max, OuterRef, Q, Subquery, Sum
from django.utils import timezone

from labs.matching.compare import serious_words
from labs.models import (
    Clinic,
    MatchDecision,
    Observation,
    TestRun,
    UnmatchedReason,
    UnmatchedResult,
    UnmatchedState,
)
from labs.models.result import is_critical
from labs.queries.orphaned.automatic import to_look_at
from labs.queries.orphaned.second_look import to_check
from labs.queries.overview.nav import AMBER, RED, WAITING, age_tone
from labs.queries.paging import Page, page_of

MATCHED_FOR = timedelta(hours=48)
STATES = {
    "waiting": "Waiting",
    "held": "Held",
    "matched": "Matched in the last 48 hours",
    "dismissed": "Dismissed",
    "automatic": "Matched automatically, to look at",
}
AGES = {"": "any age", "2h": "over 2 hours", "24h": "over 24 hours"}
OLDER_THAN = {"2h": AMBER, "24h": RED}
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

    @property
    def whose(self) -> str:
        """What was typed and to whom it was attached, for whoever cannot see the row."""
        typed = self.orphan.typed.get("patient_name") or "no name typed"
        patient = self.decision.patient if self.decision else None
        return f"{typed} on {patient.name}, {patient.patient_id}" if patient else typed

    @property
    def to_check(self) -> bool:
        """Whether it was attached against a contradiction and no second person has looked."""
        return bool(self.decision and self.decision.active and self.decision.against)

    @property
    def against(self) -> str:
        """What contradicted the match, in words."""
        return serious_words(self.decision.evidence["serious"]) if self.decision else ""


@dataclass(frozen=True, kw_only=True)
class Filters:
    """What of the queue is shown; empty: all of it. `age`: of AGES, `held_by`: a user name."""

    analyzer: str = ""
    age: str = ""
    held_by: str = ""

    def __bool__(self) -> bool:
        return bool(self.analyzer or self.age or self.held_by)

    def condition(self, clinic: Clinic, now: datetime) -> Q:
        wanted = Q()
        if self.analyzer:
            runs = TestRun.objects.filter(
                clinic=clinic, unmatched__isnull=False, analyzer_model=self.analyzer
            )
            wanted &= Q(pk__in=runs.values("unmatched"))
        if self.age in OLDER_THAN:
            wanted &= Q(created_at__lte=now - OLDER_THAN[self.age])
        if self.held_by:
            wanted &= Q(held_by__username=self.held_by)
        return wanted


@dataclass(frozen=True, kw_only=True)
class Queue:
    """`found`: how many of this state fit the filters. `to_check`: how many wait until that person,
    who did not attach them, has looked. `analyzers` and `holders`: what to filter by, of what
    waits."""

    state: str
    counts: dict[str, int]
    found: int
    to_check: int
    page: Page[Row]
    filters: Filters
    analyzers: list[str]
    holders: list[Any]


NO_FILTERS = Filters()


def _counts(clinic: Clinic, conditions: dict[str, Q]) -> dict[str, int]:
    """One statement, in which each goes by its own index: over all that ever came it took a fifth
    of a second with 50,000."""
    each = {
        f"number_{name}": Subquery(
            UnmatchedResult.objects.filter(condition, clinic=OuterRef("pk"))
            .order_by()
            .values("clinic")
            .annotate(number=Count("pk"))
            .values("number")
        )
        for name, condition in conditions.items()
    }
    row = Clinic.objects.filter(pk=clinic.pk).values("pk").annotate(**each).get()
    return {name: row[f"number_{name}"] or 0 for name in conditions}


def queue(
    clinic: Clinic,
    state: str,
    number: int,
    filters: Filters = NO_FILTERS,
    *,
    viewer: User | None = None,
) -> Queue:
    now = timezone.now()
    orphans = UnmatchedResult.objects.filter(clinic=clinic)
    decided = MatchDecision.objects.filter(
        unmatched__clinic=clinic, active=True, at__gte=now - MATCHED_FOR
    )
    unchecked = to_check(clinic.pk)
    # By their keys: asked of each row, all that was ever matched would be read.
    lately = decided.order_by().values("unmatched")
    recent = Q(
        state=UnmatchedState.MATCHED,
        pk__in=lately.union(unchecked.order_by().values("unmatched")),
    )
    states = {
        "waiting": Q(state__in=WAITING),
        "held": Q(state=UnmatchedState.HELD),
        "matched": recent,
        "dismissed": Q(state=UnmatchedState.DISMISSED),
        # What no person has looked at, however long ago it was.
        "automatic": Q(
            state=UnmatchedState.MATCHED, pk__in=to_look_at(clinic.pk).values("unmatched")
        ),
    }
    fits = states[state] & filters.condition(clinic, now)
    others = unchecked.exclude(actor=viewer) if viewer else unchecked
    conditions = {"found": fits, "to_check": Q(pk__in=others.values("unmatched")), **states}
    counts = _counts(clinic, conditions)
    found, waits_for_check = counts.pop("found"), counts.pop("to_check")
    oldest_first = state in ("waiting", "held", "automatic")
    order: tuple[str, ...] = ("created_at", "pk") if oldest_first else ("-created_at", "-pk")
    rows = orphans.filter(fits)
    if state == "matched":
        # First what a second person has still to look at.
        waits = Exists(unchecked.filter(unmatched=OuterRef("pk")))
        rows, order = rows.annotate(waits=waits), ("-waits", *order)
    page = page_of(
        rows.select_related("held_by", "suggested_request__patient", "emergency").order_by(*order),
        number,
    )
    runs: dict[int, list[Any]] = defaultdict(list)
    for run in TestRun.objects.filter(unmatched__in=page.rows).annotate(
        shown=Count("observations", filter=Q(observations__current=True))
    ):
        runs[run.unmatched_id or 0].append(run)
    critical: dict[int, list[str]] = defaultdict(list)
    for row in Observation.objects.filter(
        is_critical(),
        run__unmatched__in=page.rows,
        current=True,
    ).select_related("run"):
        critical[row.run.unmatched_id or 0].append(f"{row.code} {row.value_text}")
    decisions = {
        decision.unmatched_id: decision
        for decision in MatchDecision.objects.filter(unmatched__in=page.rows)
        .select_related("actor", "patient__owner", "patient__merged_into", "request")
        .order_by("pk")
    }
    return Queue(
        state=state,
        counts=counts,
        found=found,
        to_check=waits_for_check,
        filters=filters,
        analyzers=_analyzers(clinic),
        holders=_holders(clinic),
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


def _analyzers(clinic: Clinic) -> list[str]:
    runs = TestRun.objects.filter(clinic=clinic, unmatched__state__in=WAITING)
    named = runs.exclude(analyzer_model="").order_by("analyzer_model")
    return list(named.values_list("analyzer_model", flat=True).distinct())


def _holders(clinic: Clinic) -> list[Any]:
    held = UnmatchedResult.objects.filter(clinic=clinic, state=UnmatchedState.HELD)
    return list(User.objects.filter(pk__in=held.values("held_by")).order_by("username"))


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
