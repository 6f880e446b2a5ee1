"""The worklist: what waits for a decision, what is running, what needs a person. A fixed number of
statements, however many rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.db.models import (
    Exists,
    F,
    Min,
    OuterRef,
    Prefetch,
    Q,
    QuerySet,
    Subquery,
    prefetch_related_objects,
)
from django.utils import timezone

from labs.models import (
    Clinic,
    LabRequest,
    LabResult,
    Message,
    MessageState,
    Observation,
    RequestedTest,
    RequestState,
    ReviewState,
    TestRun,
    UnmatchedResult,
)
from labs.models.result import is_critical
from labs.queries.orders.progress import (
    OPEN_TESTS,
    Takes,
    Turnarounds,
    due,
    due_at,
    next_step,
    state_chip,
    turnarounds,
)
from labs.queries.overview.nav import TO_REVIEW, Nav
from labs.queries.overview.worklist_filters import Filters
from labs.queries.paging import PAGE, Page, page_of
from labs.queries.readings.summary import Summary, summaries
from labs.queries.words import Chip
from labs.querysets import UNDELIVERED
from labs.quick import Compiled, Given, Records

FOLD = 15  # rows of a section on the home page; the section's own page has all
RECENT = timedelta(hours=24)
SECTIONS = {
    "review": "To review",
    "running": "Running",
    "attention": "Needs attention",
    "recent": "Reviewed in the last 24 hours",
}
EVERYTHING = Filters()


@dataclass(frozen=True, kw_only=True)
class Row:
    request: LabRequest
    chip: Chip
    next: str
    late: bool
    since: datetime
    summary: Summary | None = None


@dataclass(frozen=True, kw_only=True)
class Section:
    name: str
    title: str
    count: int | None
    page: Page[Row]
    folded: bool

    @property
    def oldest(self) -> datetime | None:
        return min((row.since for row in self.page.rows), default=None)


@dataclass(frozen=True, kw_only=True)
class Worklist:
    sections: list[Section] = field(default_factory=list)


def worklist(
    clinic: Clinic, nav: Nav, *, only: str = "", number: int = 1, chosen: Filters = EVERYTHING
) -> Worklist:
    """All sections with their first rows, or one page of the section `only`; of each what is
    `chosen`. Its counts are then counted anew: one statement more for each that has one."""
    names = [only] if only else list(SECTIONS)
    now = timezone.now()
    known = turnarounds(clinic.pk)
    size = PAGE if only else FOLD
    pages = {
        name: _running(clinic, chosen, known, now, number, size)
        if name == "running"
        else _page(name, clinic, chosen, now, number, size)
        for name in names
    }
    requests = [request for page in pages.values() for request in page.rows]
    prefetch_related_objects(
        requests, Prefetch("tests", RequestedTest.objects.select_related("panel"))
    )
    waiting = pages["review"].rows if "review" in pages else []
    found = summaries(waiting)
    counts = {
        "review": nav.review,
        "running": nav.running,
        "attention": nav.attention,
    }
    if chosen:
        counts = {name: _count(name, clinic, chosen) for name in names if name in counts}
    return Worklist(
        sections=[
            Section(
                name=name,
                title=SECTIONS[name],
                count=counts.get(name),
                folded=not only,
                page=Page(
                    rows=[
                        _row(request, now, known, found if name == "review" else {})
                        for request in page.rows
                    ],
                    number=page.number,
                    more=page.more,
                    size=page.size,
                ),
            )
            for name, page in pages.items()
        ]
    )


def _row(request: Any, now: datetime, known: Turnarounds, found: dict[int, Summary]) -> Row:
    open_states = (RequestState.ACCEPTED, RequestState.RUNNING, RequestState.PARTIAL)
    since = getattr(request, "waiting_since", None) or request.reviewed_at or request.requested_at
    stopped = "held" if request.is_held else "unread" if request.is_unread else ""
    return Row(
        request=request,
        chip=state_chip(request, now, known, stopped=stopped),
        next=next_step(request, now, known, stopped=stopped),
        late=request.state in open_states and due(request, known).at < now,
        since=since,
        summary=found.get(request.pk),
    )


def _count(name: str, clinic: Clinic, chosen: Filters) -> int:
    """As the section's list is made."""
    requests = LabRequest.objects.filter(chosen.q(), clinic=clinic)
    if name == "review":
        waiting = TestRun.objects.filter(clinic=clinic, review_state__in=TO_REVIEW)
        return requests.filter(pk__in=waiting.values("request")).count()
    if name == "attention":
        return requests.needing_a_person().count()
    stuck = LabRequest.objects.filter(clinic=clinic).needing_a_person()
    return requests.open().exclude(pk__in=stuck.values("pk")).count()


def _of(clinic: Any, chosen: Filters) -> QuerySet[Any]:
    """With whether something came for it that is not among its results."""
    held = UnmatchedResult.objects.waiting().filter(suggested_request=OuterRef("pk"))
    unread = Message.objects.filter(request=OuterRef("pk"), state=MessageState.QUARANTINED)
    rows: QuerySet[Any] = (
        LabRequest.objects.filter(chosen.q(), clinic=clinic)
        .select_related("patient__owner", "submission", "assigned_to")
        .annotate(is_held=Exists(held), is_unread=Exists(unread))
    )
    return rows


def _review(clinic: Any, chosen: Filters, _: Any) -> QuerySet[Any]:
    """Critical first, then changed after review, then what waits longest."""
    runs = TestRun.objects.filter(request=OuterRef("pk"), review_state__in=TO_REVIEW)
    critical = Observation.objects.filter(
        is_critical(),
        # Flags that were set for another species are used for nothing.
        Q(result__species=None) | Q(result__species=OuterRef("patient__species")),
        current=True,
        run__request=OuterRef("pk"),
        run__review_state__in=TO_REVIEW,
    )
    since = (
        LabResult.objects.filter(
            current=True, run__request=OuterRef("pk"), run__review_state__in=TO_REVIEW
        )
        .order_by()
        .values("run__request")
        .annotate(first=Min("received_at"))
        .values("first")
    )
    rows: QuerySet[Any] = (
        _of(clinic, chosen)
        .filter(Exists(runs))
        .annotate(
            is_critical=Exists(critical),
            is_changed=Exists(runs.filter(review_state=ReviewState.CHANGED)),
            waiting_since=Subquery(since),
        )
        .order_by("-is_critical", "-is_changed", "waiting_since", "pk")
    )
    return rows


def _attention(clinic: Any, chosen: Filters, sent_before: Any) -> QuerySet[Any]:
    waiting = LabRequest.objects.filter(clinic=clinic).needing_a_person(sent_before=sent_before)
    rows = _of(clinic, chosen).filter(pk__in=waiting.values("pk"))
    return rows.order_by("requested_at", "pk")


def _recent(clinic: Any, chosen: Filters, since: Any) -> QuerySet[Any]:
    rows = _of(clinic, chosen).filter(reviewed_at__gte=since)
    return rows.order_by("-reviewed_at", "-pk")


# Each is given a clinic, what is chosen, and the moment that is so long ago.
ROWS: dict[str, Callable[[Any, Filters, Any], QuerySet[Any]]] = {
    "review": _review,
    "attention": _attention,
    "recent": _recent,
}
AGO = {"attention": UNDELIVERED, "recent": RECENT}
# Of the home page, which everybody has open all day.
FIRST = {
    name: Records(
        rows(Given("clinic"), EVERYTHING, Given("at"))[: FOLD + 1],
        *("is_held", "is_unread"),
        *(("is_critical", "is_changed", "waiting_since") if name == "review" else ()),
        patient=(),
        patient__owner=(),
        submission=(),
        assigned_to=(),
    )
    for name, rows in ROWS.items()
}


def _page(
    name: str, clinic: Clinic, chosen: Filters, now: datetime, number: int, size: int
) -> Page[LabRequest]:
    at = {"at": now - AGO[name]} if name in AGO else {}
    if chosen or (number, size) != (1, FOLD):
        return page_of(ROWS[name](clinic, chosen, at.get("at")), number, size)
    found = FIRST[name].all(clinic=clinic.pk, **at)
    return Page(rows=found[:FOLD], number=1, more=len(found) > FOLD, size=FOLD)


def _running_dates(clinic: Any, chosen: Filters, sent_before: Any) -> QuerySet[Any, Any]:
    """Of each open request a row for each of its tests. What is due when is reckoned from them, as
    no clinic has many requests open."""
    stuck = LabRequest.objects.filter(clinic=clinic).needing_a_person(sent_before=sent_before)
    rows: QuerySet[Any, Any] = (
        LabRequest.objects.filter(chosen.q(), clinic=clinic)
        .open()
        .exclude(pk__in=stuck.values("pk"))
        .order_by()
        .values_list(
            "pk",
            "requested_at",
            "submission__accepted_at",
            "tests__state",
            "tests__panel__code",
            "tests__panel__analyzer_model",
            "tests__panel__usual_minutes",
        )
    )
    return rows


RUNNING_DATES = Compiled(_running_dates(Given("clinic"), EVERYTHING, Given("sent_before")))


def _running(
    clinic: Clinic, chosen: Filters, known: Turnarounds, now: datetime, number: int, size: int
) -> Page[LabRequest]:
    """Late first: the dates of all are read, and then one page of them."""
    before = now - UNDELIVERED
    if chosen:
        open_tests = list(_running_dates(clinic, chosen, before))
    else:
        open_tests = RUNNING_DATES.rows(clinic=clinic.pk, sent_before=before)
    latest: dict[int, datetime] = {}
    for pk, ordered, accepted, state, *test in open_tests:
        begun = max(ordered, accepted or ordered)
        at = due_at(begun, Takes(*test), known) if state in OPEN_TESTS else ordered
        latest[pk] = max(at, latest.get(pk, at))
    due_first = sorted((at, pk) for pk, at in latest.items())
    keys = [pk for _, pk in due_first][(number - 1) * size : number * size + 1]
    found = {request.pk: request for request in _of(clinic, chosen).filter(pk__in=keys)}
    rows = [found[pk] for pk in keys if pk in found]
    return Page(rows=rows[:size], number=number, more=len(keys) > size, size=size)


def version(clinic: Clinic, nav: Nav) -> str:
    """Changes whenever the worklist does, and once a minute because ages do. One statement: the
    newest change, from an index. A change that commits late, behind a newer one, shows with the
    next minute at the latest."""
    newest = (
        LabRequest.objects.filter(clinic=clinic)
        .order_by(F("updated_at").desc())
        .values_list("updated_at", flat=True)
        .first()
    )
    stamp = newest.timestamp() if newest else 0
    counts = (nav.review, nav.running, nav.attention, nav.unmatched, nav.emergencies, nav.alarms)
    return f"{stamp:.6f}-{'-'.join(map(str, counts))}-{timezone.now():%H%M}"
