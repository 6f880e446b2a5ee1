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
from labs.queries.records.journal import LATE, late
from labs.queries.words import duration
from labs.querysets import UNDELIVERED
from labs.quick import Compiled, Given

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


COUNTS = (
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


def nav(clinic: Clinic, user: User | None = None) -> Nav:
    """Counts of what waits at that clinic, and of the alarms of which that person was told; of all
    where nobody is signed in, as on a wall screen."""
    now = timezone.now()
    given: dict[str, Any] = {
        "clinic": clinic.pk,
        "now": now,
        "pending_before": now - LATE,
        "sent_before": now - UNDELIVERED,
    }
    if user is None:
        (row,) = OF_ALL.rows(**given)
    else:
        (row,) = OF_PERSON.rows(user=user.pk, **given)
    open_, oldest_unmatched, oldest_alarm, *numbers = row
    counts = {name: number or 0 for name, number in zip(COUNTS, numbers, strict=True)}
    return Nav(
        oldest_unmatched=oldest_unmatched,
        oldest_alarm=oldest_alarm,
        running=(open_ or 0) - counts["attention"],
        **counts,
    )


def _count(rows: QuerySet[Any], aggregate: Any = None) -> Subquery:
    return Subquery(
        rows.order_by().values("clinic").annotate(n=aggregate or Count("pk")).values("n")
    )


def _composed(alarms: QuerySet[Alarm]) -> Compiled:
    """Every page asks it, and composing it took longer than all else that a small page needs."""
    requests = LabRequest.objects.filter(clinic=OuterRef("pk"))
    runs = TestRun.objects.filter(
        clinic=OuterRef("pk"), request__isnull=False, review_state__in=TO_REVIEW
    )
    waiting = UnmatchedResult.objects.waiting().filter(clinic=OuterRef("pk"))
    messages = Message.objects.filter(clinic=OuterRef("pk"))
    codes = EmergencyCode.objects.filter(clinic=OuterRef("pk"))
    alarms = alarms.filter(clinic=OuterRef("pk"))
    # A critical value that is on no animal's record: whoever looks at any page must see it.
    critical = TestRun.objects.filter(
        is_critical("observations__"),
        observations__current=True,
        unmatched__state__in=WAITING,
        unmatched__clinic=OuterRef("pk"),
        clinic=OuterRef("pk"),
    )
    counted = (
        Clinic.objects.filter(pk=Given("clinic"))
        .values("pk")
        .annotate(
            review=_count(runs, Count("request", distinct=True)),
            open=_count(requests.open()),
            attention=_count(requests.needing_a_person(sent_before=Given("sent_before"))),
            unmatched=_count(waiting),
            oldest_unmatched=_count(waiting, Min("created_at")),
            quarantined=_count(messages.filter(state=MessageState.QUARANTINED, parts=None)),
            late=_count(late(messages, since_before=Given("pending_before"))),
            unbalanced=_count(JournalCheck.objects.filter(clinic=OuterRef("pk"), holds=False)),
            emergencies=_count(codes.open(Given("now"))),
            alarms=_count(alarms),
            oldest_alarm=_count(alarms, Min("raised_at")),
            critical_unmatched=_count(critical, Count("unmatched", distinct=True)),
        )
    )
    return Compiled(
        counted.order_by().values_list("open", "oldest_unmatched", "oldest_alarm", *COUNTS)
    )


OF_PERSON = _composed(Alarm.objects.open().shown_to(Given("user")))
OF_ALL = _composed(Alarm.objects.open())


@dataclass(frozen=True, kw_only=True)
class Waiting:
    """Of the unmatched results of several clinics together, and of the alarms that person was told
    of."""

    count: int
    oldest: datetime | None
    critical: int
    alarms: int
    oldest_alarm: datetime | None

    @property
    def age(self) -> str:
        return duration(timezone.now() - self.oldest) if self.oldest else ""

    @property
    def alarm_age(self) -> str:
        return duration(timezone.now() - self.oldest_alarm) if self.oldest_alarm else ""

    @property
    def tone(self) -> str:
        if self.critical or not self.oldest:
            return "red" if self.critical else ""
        return age_tone(self.oldest, timezone.now())


def waiting(user: Any) -> Waiting:
    """At all clinics where that person works: for the admin, which shows them together. Two
    statements."""
    critical = TestRun.objects.filter(
        is_critical("observations__"),
        observations__current=True,
        unmatched=OuterRef("pk"),
    )
    rows = UnmatchedResult.objects.for_user(user).waiting()
    counts = rows.aggregate(
        count=Count("pk"), oldest=Min("created_at"), critical=Count("pk", filter=Exists(critical))
    )
    told = Alarm.objects.for_user(user).open().shown_to(user)
    alarms = told.aggregate(alarms=Count("pk"), oldest_alarm=Min("raised_at"))
    return Waiting(**counts, **alarms)
