"""What was requested and never came: a list for Heska's support. Names no owner and no patient."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from django.db.models import Q, QuerySet

from labs import clock, spreadsheet
from labs.models import Clinic, RequestedTest, TestState

OLDER_THAN = timedelta(hours=24)
# Who asks after half a year asks otherwise; and a list of thousands is read by nobody.
NOT_OLDER_THAN = timedelta(days=180)
SILENCE = timedelta(days=7)
SHOWN = 500
HEADER = (
    "Lab report id",
    "Heska report id",
    "Test request id",
    "Test",
    "Ordered at (UTC)",
    "Accepted at (UTC)",
    "Note",
)


@dataclass(frozen=True, kw_only=True)
class Missing:
    lab_report_id: str
    external_id: str
    test_request_id: str
    test_code: str
    test_name: str
    ordered_at: datetime
    accepted_at: datetime | None

    @property
    def note(self) -> str:
        return "" if self.accepted_at else "Sent; Heska gave no clear answer"

    @property
    def cells(self) -> tuple[str, ...]:
        return (
            self.lab_report_id,
            self.external_id,
            self.test_request_id,
            f"{self.test_code} {self.test_name}",
            _utc(self.ordered_at),
            _utc(self.accepted_at),
            self.note,
        )


def _open(clinic: Clinic) -> QuerySet[RequestedTest]:
    """Tests that Heska has, or may have, and of which no result is in."""
    return RequestedTest.objects.filter(
        Q(request__submission__accepted_at__isnull=False)
        | Q(request__submission__may_have_arrived=True),
        request__clinic=clinic,
        request__cancelled_at=None,
        request__patient__is_test=False,
        request__state__in=["sent", "accepted", "running", "partial", "needs_attention"],
        state=TestState.REQUESTED,
        withdrawn=False,
    )


def never_came(clinic: Clinic) -> list[Missing]:
    """Ordered more than a day ago, the newest first; at most 500. One statement."""
    now = clock.now()
    rows = (
        _open(clinic)
        .filter(
            request__requested_at__lt=now - OLDER_THAN,
            request__requested_at__gt=now - NOT_OLDER_THAN,
        )
        .select_related("request__submission", "panel")
        .order_by("-request__requested_at", "request_id", "position")
    )
    return [
        Missing(
            lab_report_id=test.request.lab_report_id,
            external_id=test.request.submission.external_id,
            test_request_id=test.test_request_id,
            test_code=test.panel.code,
            test_name=test.panel.name,
            ordered_at=test.request.requested_at,
            accepted_at=test.request.submission.accepted_at,
        )
        for test in rows[:SHOWN]
    ]


def waiting_since(clinic: Clinic, came_at: datetime | None) -> datetime | None:
    """When Heska took the first order after the last thing that came, if its result is still out;
    an older one was perhaps never run, and says nothing of the connection. One statement."""
    since = Q(request__submission__accepted_at__gt=came_at) if came_at else Q()
    return (
        _open(clinic)
        .filter(since, request__submission__accepted_at__gt=clock.now() - SILENCE)
        .order_by("request__submission__accepted_at")
        .values_list("request__submission__accepted_at", flat=True)
        .first()
    )


def as_csv(rows: Sequence[Missing]) -> bytes:
    return spreadsheet.csv_file(HEADER, (row.cells for row in rows))


def as_text(rows: Sequence[Missing]) -> str:
    """For a mail: one test a line."""
    return "\n".join(" | ".join(cell or "-" for cell in row.cells) for row in rows)


def _utc(at: datetime | None) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S}" if at else ""
