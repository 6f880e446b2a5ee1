"""The counts in the navigation of every page: one statement."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Count, Min, OuterRef, QuerySet, Subquery
from django.utils import timezone

from labs.models import (
    Clinic,
    JournalCheck,
    LabRequest,
    Message,
    MessageState,
    ReviewState,
    TestRun,
    UnmatchedResult,
)
from labs.queries.journal import late
from labs.queries.words import duration

AMBER, RED = timedelta(hours=2), timedelta(hours=24)
TO_REVIEW = [ReviewState.WAITING, ReviewState.CHANGED]


@dataclass(frozen=True, kw_only=True)
class Nav:
    review: int
    running: int
    attention: int
    unmatched: int
    oldest_unmatched: datetime | None
    quarantined: int
    late: int
    unbalanced: int

    @property
    def journal(self) -> int:
        """Messages that need an administrator."""
        return self.quarantined + self.late + self.unbalanced

    @property
    def worklist(self) -> int:
        return self.review + self.running

    @property
    def age(self) -> str:
        """Of the oldest unmatched result."""
        return duration(timezone.now() - self.oldest_unmatched) if self.oldest_unmatched else ""

    @property
    def tone(self) -> str:
        return age_tone(self.oldest_unmatched, timezone.now()) if self.oldest_unmatched else ""

    @property
    def version(self) -> str:
        """The navigation as it is shown, as one word."""
        shown = (self.worklist, self.attention, self.unmatched, self.journal, self.age)
        return "-".join(str(part) for part in shown).replace(" ", "")


def age_tone(created: datetime, now: datetime) -> str:
    """Of an unmatched result: "" below two hours, amber below a day, then red."""
    age = now - created
    return "red" if age >= RED else "amber" if age >= AMBER else ""


def nav(clinic: Clinic) -> Nav:
    """Counts of what waits at that clinic."""
    requests = LabRequest.objects.filter(clinic=OuterRef("pk"))
    runs = TestRun.objects.filter(
        clinic=OuterRef("pk"), request__isnull=False, review_state__in=TO_REVIEW
    )
    waiting = UnmatchedResult.objects.waiting().filter(clinic=OuterRef("pk"))
    quarantined = Message.objects.filter(clinic=OuterRef("pk"), state=MessageState.QUARANTINED)
    row = (
        Clinic.objects.filter(pk=clinic.pk)
        .values("pk")
        .annotate(
            review=_count(runs, Count("request", distinct=True)),
            open=_count(requests.open()),
            attention=_count(requests.needing_a_person()),
            unmatched=_count(waiting),
            oldest_unmatched=_count(waiting, Min("created_at")),
            quarantined=_count(quarantined),
            late=_count(late(Message.objects.filter(clinic=OuterRef("pk")))),
            unbalanced=_count(JournalCheck.objects.filter(clinic=OuterRef("pk"), holds=False)),
        )
        .get()
    )
    names = ("review", "attention", "unmatched", "quarantined", "late", "unbalanced")
    counts = {name: row[name] or 0 for name in names}
    return Nav(
        oldest_unmatched=row["oldest_unmatched"],
        running=(row["open"] or 0) - counts["attention"],
        **counts,
    )


def _count(rows: QuerySet[Any], aggregate: Any = None) -> Subquery:
    return Subquery(
        rows.order_by().values("clinic").annotate(n=aggregate or Count("pk")).values("n")
    )
