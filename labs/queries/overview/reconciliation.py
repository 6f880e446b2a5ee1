"""What fell through: asked for and never come, come and never read, read and never charged; what
belongs to nobody, by analyzer and age; and how long tests take. A fixed number of statements."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Count, F, Min, OuterRef, Prefetch, Q, QuerySet, Subquery
from django.db.models import prefetch_related_objects as prefetch
from django.utils import timezone
from django.utils.safestring import SafeString

from labs import plots
from labs.models import Clinic, LabRequest, OwnPanel, Panel, RequestedTest, TestRun, Turnaround
from labs.models import UnmatchedResult as Orphan
from labs.queries.overview.nav import AMBER, RED, TO_REVIEW
from labs.queries.words import duration
from labs.spreadsheet import csv_file

SHOWN = 50
# A clinic that never marks a bill has all its years among the uncharged: counted to here. Up to ten
# thousand took 50 ms, and nobody works through a thousand.
COUNTED = 1_000
EXPORTED = 10_000
HEADER = (
    *("report_id", "ordered", "reviewed", "patient_id", "patient", "owner_id", "owner"),
    *("doctor", "test_codes", "tests", "billing_codes"),
)


@dataclass(frozen=True, kw_only=True)
class Gap:
    """`rows` are the oldest; `count` is of all, but for one more than COUNTED. `says`: what to do
    with them; `when_none`: what it means that there are none."""

    name: str
    title: str
    says: str
    when_none: str
    rows: list[Any]
    count: int

    @property
    def how_many(self) -> str:
        return str(self.count) if self.count <= COUNTED else f"more than {COUNTED}"


@dataclass(frozen=True, kw_only=True)
class Reconciliation:
    gaps: list[Gap]
    orphans: list[dict[str, Any]]
    turnaround: SafeString
    learnt: list[Turnaround]


def uncharged(clinic: Clinic) -> QuerySet[Any]:
    """Reviewed and on no bill, the longest first."""
    rows: QuerySet[Any] = (
        LabRequest.objects.filter(clinic=clinic, reviewed_at__isnull=False, charged_at=None)
        .annotate(since=F("reviewed_at"))
        .order_by("reviewed_at", "pk")
    )
    return rows


def reconciliation(clinic: Clinic, *, at_desk: bool = False) -> Reconciliation:
    """`at_desk`: only what concerns the front desk, the bills."""
    charge = _gap(
        "charge",
        "Reviewed, not charged",
        "Mark what is on the owner's bill.",
        "What a veterinarian signs stands here until it is on a bill.",
        uncharged(clinic),
    )
    if at_desk:
        return Reconciliation(
            gaps=_loaded([charge]), orphans=[], turnaround=SafeString(""), learnt=[]
        )
    requests = LabRequest.objects.filter(clinic=clinic)
    waiting = TestRun.objects.filter(clinic=clinic, review_state__in=TO_REVIEW)
    first = (
        TestRun.objects.filter(request=OuterRef("pk"), review_state__in=TO_REVIEW)
        .order_by()
        .values("request")
        .annotate(at=Min("created_at"))
        .values("at")
    )
    learnt = list(Turnaround.objects.filter(clinic=clinic).order_by("usual_seconds"))
    return Reconciliation(
        gaps=_loaded(
            [
                _gap(
                    "result",
                    "Requested, not resulted",
                    "Look at the analyzer, or cancel what is not wanted any more.",
                    "Every order has its results.",
                    requests.open()
                    .annotate(since=F("requested_at"))
                    .order_by("requested_at", "pk"),
                ),
                _gap(
                    "review",
                    "Resulted, not reviewed",
                    "A veterinarian signs these.",
                    "Every result was signed by a veterinarian.",
                    requests.filter(pk__in=waiting.values("request"))
                    .annotate(since=Subquery(first))
                    .order_by("since", "pk"),
                ),
                charge,
            ]
        ),
        orphans=_orphans(clinic),
        turnaround=_turnaround(learnt),
        learnt=learnt,
    )


@dataclass(frozen=True, kw_only=True)
class Gaps:
    """How many requests fell through, for the daily mail."""

    missing: int
    unreviewed: int
    uncharged: int

    @property
    def any(self) -> int:
        return self.missing + self.unreviewed + self.uncharged


def gaps(clinic: Clinic, *, before: datetime) -> Gaps:
    """The counts of the page, of what stands since before then. Three statements."""
    requests = LabRequest.objects.filter(clinic=clinic)
    waiting = TestRun.objects.filter(
        clinic=clinic, review_state__in=TO_REVIEW, created_at__lt=before
    )
    return Gaps(
        missing=requests.open().filter(requested_at__lt=before).count(),
        unreviewed=requests.filter(pk__in=waiting.values("request")).count(),
        uncharged=uncharged(clinic).filter(reviewed_at__lt=before).count(),
    )


def _gap(name: str, title: str, says: str, when_none: str, rows: QuerySet[Any]) -> Gap:
    return Gap(
        name=name,
        title=title,
        says=says,
        when_none=when_none,
        rows=list(rows.select_related("patient__owner")[:SHOWN]),
        count=rows[: COUNTED + 1].count(),
    )


def _loaded(gaps: list[Gap]) -> list[Gap]:
    rows = [row for gap in gaps for row in gap.rows]
    prefetch(rows, Prefetch("tests", RequestedTest.objects.select_related("panel")))
    return gaps


def _orphans(clinic: Clinic) -> list[dict[str, Any]]:
    """Of each analyzer how many wait, by age. One statement."""
    now = timezone.now()
    model = TestRun.objects.filter(unmatched=OuterRef("pk")).order_by("pk")
    return list(
        Orphan.objects.waiting()
        .filter(clinic=clinic)
        .annotate(model=Subquery(model.values("analyzer_model")[:1]))
        .order_by()
        .values("model")
        .annotate(
            fresh=Count("pk", filter=Q(created_at__gt=now - AMBER)),
            amber=Count("pk", filter=Q(created_at__lte=now - AMBER, created_at__gt=now - RED)),
            red=Count("pk", filter=Q(created_at__lte=now - RED)),
            oldest=Min("created_at"),
        )
        .order_by("oldest")
    )


def _turnaround(learnt: Sequence[Turnaround]) -> SafeString:
    """By the tests of each analyzer; one statement."""
    names: dict[str, list[str]] = {}
    for model, name in Panel.objects.order_by("position").values_list("analyzer_model", "name"):
        names.setdefault(model, []).append(name)
    return plots.spans(
        [
            plots.Bar(
                name=row.analyzer_model,
                below=", ".join(names.get(row.analyzer_model, [])),
                usual=row.usual_seconds,
                slow=row.slow_seconds,
                words=f"{row.analyzer_model}: half within "
                f"{duration(timedelta(seconds=row.usual_seconds))}, nine in ten within "
                f"{duration(timedelta(seconds=row.slow_seconds))}, by {row.runs} runs",
                label=f"{duration(timedelta(seconds=row.usual_seconds))} · "
                f"{duration(timedelta(seconds=row.slow_seconds))}",
            )
            for row in learnt
        ]
    )


def charges_csv(clinic: Clinic) -> tuple[bytes, int]:
    """All that is reviewed and not charged, and how many rows that is. Three statements."""
    rows = list(
        uncharged(clinic)
        .select_related("patient__owner")
        .prefetch_related(Prefetch("tests", RequestedTest.objects.select_related("panel")))[
            :EXPORTED
        ]
    )
    codes = dict(
        OwnPanel.objects.filter(clinic=clinic)
        .exclude(billing_code="")
        .values_list("panel", "billing_code")
    )
    return csv_file(HEADER, (_line(row, codes) for row in rows)), len(rows)


def _line(request: Any, codes: Mapping[int, str]) -> list[str]:
    owner = request.patient.owner
    panels = [test.panel for test in request.tests.all()]
    return [
        request.lab_report_id,
        f"{timezone.localtime(request.requested_at):%Y-%m-%d %H:%M}",
        f"{timezone.localtime(request.reviewed_at):%Y-%m-%d %H:%M}",
        request.patient.patient_id,
        request.patient.name,
        owner.owner_id if owner else "",
        str(owner) if owner else "",
        request.doctor,
        "; ".join(panel.code for panel in panels),
        "; ".join(panel.name for panel in panels),
        # Of a test without one nothing: a bill must not take another test's.
        "; ".join(codes.get(panel.pk, "") for panel in panels),
    ]
