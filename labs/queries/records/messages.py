"""The journal for administrators: what came in, and what became of each message."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

from django.db.models import Count, OuterRef, Subquery
from django.utils import timezone

from labs.models import Clinic, JournalCheck, Message, MessageState
from labs.queries.paging import Page, page_of
from labs.queries.records.journal import late

SHOWN_BYTES = 64 * 1024
LATE_SHOWN = 20
# Of an array, which is filed by its parts.
PARTS = Subquery(
    Message.objects.filter(parent=OuterRef("pk"))
    .order_by()
    .values("parent")
    .annotate(number=Count("pk"))
    .values("number")
)
CHECKED_EVERY = timedelta(minutes=5)


@dataclass(frozen=True, kw_only=True)
class Day:
    day: date
    counts: list[tuple[str, str, int]]
    page: Page[Message]
    late: list[Message]
    check: JournalCheck | None

    @property
    def unchecked(self) -> bool:
        """Whether nobody looks after the journal: the scheduler or its worker stands still."""
        return self.check is None or timezone.now() - self.check.checked_at > 3 * CHECKED_EVERY


def messages_of(clinic: Clinic, day: date, state: str, number: int) -> Day:
    """One day's messages, newest first, and how many are in each state, where an array is counted
    by its parts, as in the balance; among all it is listed beside them. Quarantined messages are
    shown whatever their day: they wait until somebody has looked. With what is not as it must
    be, whatever the day. Four statements."""
    start = datetime.combine(day, time.min, timezone.get_current_timezone())
    today = Message.objects.filter(
        clinic=clinic, received_at__gte=start, received_at__lt=start + timedelta(days=1)
    )
    counts = dict(today.filter(parts=None).order_by().values_list("state").annotate(n=Count("pk")))
    rows = today
    if state == MessageState.QUARANTINED:
        rows = Message.objects.filter(clinic=clinic, state=state, parts=None)
    elif state:
        rows = today.filter(state=state, parts=None)
    return Day(
        day=day,
        counts=[(value, label, counts.get(value, 0)) for value, label in MessageState.choices],
        page=page_of(
            rows.defer("raw", "reply")
            .select_related("request", "unmatched", "submission__request", "parent")
            .defer("parent__raw", "parent__reply")
            .annotate(holds=PARTS),
            number,
        ),
        late=list(
            late(Message.objects.filter(clinic=clinic))
            .only("receipt_id", "cause", "received_at", "pending_since")
            .order_by("pending_since")[:LATE_SHOWN]
        ),
        check=JournalCheck.objects.filter(clinic=clinic).first(),
    )


def parts_of(message: Message) -> list[Message]:
    """The messages that an array holds, in their order; none where it is a message itself. One
    statement, and none where it is filed."""
    if message.request_id or message.unmatched_id or message.direction != Message.Direction.IN:
        return []
    parts = message.parts.order_by("part").defer("raw", "reply")
    return list(parts.select_related("request", "unmatched"))


def shown_text(raw: bytes | memoryview) -> tuple[str, bool]:
    """The body as text for people, and whether it was cut. What is no UTF-8 shows as U+FFFD."""
    body = bytes(raw)
    return body[:SHOWN_BYTES].decode("utf-8", "replace"), len(body) > SHOWN_BYTES
