"""The counts in the navigation of every page: one statement."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.contrib.auth.models import User
from django.db.models import Count, Exists, Min, OuterRef, QuerySet, Subquery
from django.utils import timezone

from labs.models import (
    Alarm,
    Clinic,
    EmergencyCode,
    JournalCheck,
    LabRequest,
    Message,
    MessageState,
    ReviewState,
    TestRun,
    UnmatchedResult,
    UnmatchedState,
)
from labs.models.result import is_critical
from labs.queries.records.journal import late
from labs.queries.words import duration

AMBER, RED = timedelta(hours=2), timedelta(hours=24)
WAITING = [UnmatchedState.OPEN, UnmatchedState.HELD]
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
    emergencies: int
    critical_unmatched: int
    alarms: int
    oldest_alarm: datetime | None

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
    def alarm_age(self) -> str:
        return duration(timezone.now() - self.oldest_alarm) if self.oldest_alarm else ""

    @property
    def tone(self) -> str:
        if self.critical_unmatched:
            return "red"
        return age_tone(self.oldest_unmatched, timezone.now()) if self.oldest_unmatched else ""

    @property
    def version(self) -> str:
        """The navigation as it is shown, as one word."""
        shown = (
            self.worklist,
            self.attention,
            self.unmatched,
            self.critical_unmatched,
            self.journal,
            self.age,
            self.alarms,
            self.alarm_age,
        )
        return "-".join(str(part) for part in shown).replace(" ", "")


def age_tone(created: datetime, now: datetime) -> str:
    """Of an unmatched result: "" below two hours, amber below a day, then red."""
    age = now - created
    return "red" if age >= RED else "amber" if age >= AMBER else ""


def nav(clinic: Clinic, user: User | None = None) -> Nav:
    """Counts of what waits at that clinic, and of the alarms of which that person was told."""
    alarms = Alarm.objects.open().filter(clinic=OuterRef("pk"))
    alarms = alarms.shown_to(user) if user and user.is_authenticated else alarms.none()
    requests = LabRequest.objects.filter(clinic=OuterRef("pk"))
    runs = TestRun.objects.filter(
        clinic=OuterRef("pk"), request__isnull=False, review_state__in=TO_REVIEW
    )
    waiting = UnmatchedResult.objects.waiting().filter(clinic=OuterRef("pk"))
    quarantined = Message.objects.filter(
        clinic=OuterRef("pk"), state=MessageState.QUARANTINED, parts=None
    )
    # A critical value that is on no animal's record: whoever looks at any page must see it.
    critical = TestRun.objects.filter(
        is_critical("observations__"),
        observations__current=True,
        unmatched__state__in=WAITING,
        unmatched__clinic=OuterRef("pk"),
        clinic=OuterRef("pk"),
    )
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
            emergencies=_count(EmergencyCode.objects.filter(clinic=OuterRef("pk")).open()),
            alarms=_count(alarms),
            oldest_alarm=_count(alarms, Min("raised_at")),
            critical_unmatched=_count(critical, Count("unmatched", distinct=True)),
        )
        .get()
    )
    names = (
        "review",
        "attention",
        "unmatched",
        "quarantined",
        "late",
        "unbalanced",
        "emergencies",
        "critical_unmatched",
        "alarms",
    )
    counts = {name: row[name] or 0 for name in names}
    return Nav(
        oldest_unmatched=row["oldest_unmatched"],
        oldest_alarm=row["oldest_alarm"],
        running=(row["open"] or 0) - counts["attention"],
        **counts,
    )


def _count(rows: QuerySet[Any], aggregate: Any = None) -> Subquery:
    return Subquery(
        rows.order_by().values("clinic").annotate(n=aggregate or Count("pk")).values("n")
    )


@dataclass(frozen=True, kw_only=True)
class Waiting:
    """Of the unmatched results of several clinics together."""

    count: int
    oldest: datetime | None
    critical: int

    @property
    def age(self) -> str:
        return duration(timezone.now() - self.oldest) if self.oldest else ""

    @property
    def tone(self) -> str:
        if self.critical or not self.oldest:
            return "red" if self.critical else ""
        return age_tone(self.oldest, timezone.now())


def waiting(user: Any) -> Waiting:
    """At all clinics where that person works: for the admin, which shows them together. One
    statement."""
    critical = TestRun.objects.filter(
        is_critical("observations__"),
        observations__current=True,
        unmatched=OuterRef("pk"),
    )
    rows = UnmatchedResult.objects.for_user(user).waiting()
    counts = rows.aggregate(
        count=Count("pk"), oldest=Min("created_at"), critical=Count("pk", filter=Exists(critical))
    )
    return Waiting(**counts)
