"""How it goes between a clinic and Heska: what its administrator sees, and what an operator's
monitoring asks for. Read only; nobody is called."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Count, Min, OuterRef, Q, QuerySet, Subquery
from django.utils import timezone

from integrations.heska import ailments, missing
from integrations.heska.fields import Unreadable
from integrations.heska.models import Connection, Contact, InboundClient
from integrations.heska.wire import outbound
from labs.hours import open_time
from labs.models import (
    Clinic,
    JournalCheck,
    Message,
    MessageState,
    Submission,
    SubmissionState,
    UnmatchedResult,
)
from labs.queries.records import journal
from labs.services.intake.journal import MAX_ATTEMPTS

CALLS, RESULTS = 200, 500
DELIVERED = (409, *range(200, 300))
WAITING = (
    SubmissionState.QUEUED,
    SubmissionState.SENDING,
    SubmissionState.UNKNOWN,
    SubmissionState.HELD,
)
STUCK = (SubmissionState.REJECTED, SubmissionState.NEEDS_ATTENTION)


@dataclass(frozen=True, kw_only=True)
class Way:
    """One direction. `why` and `words` belong to `bad_at`."""

    name: str
    good_at: datetime | None = None
    bad_at: datetime | None = None
    why: str = ""
    words: str = ""
    beyond: str = ""  # where looking back ended before anything was found
    failing: str = "failing"

    @property
    def fails(self) -> bool:
        """The last thing that is known of it is bad."""
        return self.bad_at is not None and (self.good_at is None or self.bad_at > self.good_at)


@dataclass(frozen=True, kw_only=True)
class Key:
    """An inbound client. `result_at`: of the clinic's newest results, the last that came by it."""

    client_id: str
    made_at: datetime
    made_by: str
    token_at: datetime | None
    refused_at: datetime | None
    refused_why: str
    result_at: datetime | None
    everybodys: bool

    @property
    def refused_last(self) -> bool:
        used = self.token_at
        return self.refused_at is not None and (used is None or self.refused_at > used)

    @property
    def age(self) -> timedelta:
        return timezone.now() - self.made_at


@dataclass(frozen=True, kw_only=True)
class Queue:
    waiting: int = 0
    held: int = 0
    stuck: int = 0
    oldest_due: datetime | None = None
    oldest: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class Intake:
    """Of what Heska posted: when the newest came, and what waits for somebody. `came_at`: also
    where it lies in quarantine."""

    received_at: datetime | None
    came_at: datetime | None
    quarantined_at: datetime | None
    quarantined_why: str
    quarantined: int
    dead: int
    unbalanced: bool
    oldest_late: datetime | None
    oldest_orphan: datetime | None


@dataclass(frozen=True, kw_only=True)
class Health:
    clinic: Clinic
    connection: Connection | None
    unreadable: bool
    ways: dict[str, Way]
    keys: list[Key]
    queue: Queue
    intake: Intake
    missing: list[missing.Missing]
    waiting_since: datetime | None
    now: datetime = field(default_factory=timezone.now)

    @property
    def troubles(self) -> list[ailments.Trouble]:
        return sorted(ailments.troubles(self), key=lambda each: not each.grave)

    @property
    def own_keys(self) -> list[Key]:
        return [key for key in self.keys if not key.everybodys]

    @property
    def entered_old(self) -> bool:
        return self.connection is not None and self.now - self.connection.entered_at > ailments.OLD

    @property
    def silent(self) -> timedelta:
        """For how long of its opening hours the clinic has waited for anything to come of what was
        ordered after the last that came; zero where nothing is out."""
        if self.waiting_since is None:
            return timedelta(0)
        return open_time(self.clinic.week, self.waiting_since, self.now)


def health(clinic: Clinic) -> Health:
    """Twelve statements at most, however many rows there are."""
    connection, unreadable = _connection(clinic)
    contacts = {each.kind: each for each in Contact.objects.filter(clinic=clinic)}
    intake = _intake(clinic)
    keys = _keys(clinic)
    return Health(
        clinic=clinic,
        connection=connection,
        unreadable=unreadable,
        ways={
            "token_out": _way("Heska gives us a token", contacts.get(Contact.Kind.TOKEN)),
            "order": _orders(clinic),
            "token_in": _token_in(keys, contacts.get(Contact.Kind.MIXED_UP)),
            "result": Way(
                name="Heska posts results",
                good_at=intake.received_at,
                bad_at=intake.quarantined_at,
                why=intake.quarantined_why,
                # It came, and is kept; a person looks at it.
                failing="last one set aside",
            ),
            "address": _way("Our public address answers", contacts.get(Contact.Kind.ADDRESS)),
        },
        keys=keys,
        queue=_queue(clinic),
        intake=intake,
        missing=missing.never_came(clinic),
        waiting_since=missing.waiting_since(clinic, intake.came_at),
    )


def _connection(clinic: Clinic) -> tuple[Connection | None, bool]:
    """With whether its secrets can't be read: then none of FIELD_ENCRYPTION_KEYS is theirs."""
    rows = Connection.objects.filter(clinic=clinic).select_related("entered_by")
    try:
        return rows.first(), False
    except Unreadable:
        return rows.defer("client_secret", "token").first(), True


def _way(name: str, contact: Contact | None) -> Way:
    if contact is None:
        return Way(name=name)
    return Way(
        name=name,
        good_at=contact.good_at,
        bad_at=contact.bad_at,
        why=contact.bad_why,
        words=contact.bad_words,
    )


def _orders(clinic: Clinic) -> Way:
    """Of the last 200 calls: the journal has no index by answer, and needs none for this."""
    calls = list(
        Message.objects.filter(clinic=clinic, state=MessageState.SENT, call="order")
        .order_by("-received_at")
        .values_list("pk", "received_at", "status_code", "cause")[:CALLS]
    )
    good = next((call for call in calls if call[2] in DELIVERED), None)
    bad = next((call for call in calls if call[2] not in DELIVERED), None)
    words = ""
    if bad is not None:
        reply = Message.objects.filter(pk=bad[0]).values_list("reply", flat=True).get()
        words = outbound.error_words(bytes(reply or b""))
    return Way(
        name="Heska takes our orders",
        good_at=good[1] if good else None,
        bad_at=bad[1] if bad else None,
        why=(bad[3] or f"Heska answered {bad[2]}.") if bad else "",
        words=words,
        beyond=f"not in the last {CALLS} calls" if len(calls) == CALLS else "",
    )


def _token_in(keys: list[Key], mixed_up: Contact | None) -> Way:
    refused = [(key.refused_at, key) for key in keys if key.refused_at]
    last = max(refused, key=lambda each: each[0], default=None)
    bad_at = last[0] if last else None
    why = f"{last[1].refused_why} Client id {last[1].client_id}." if last else ""
    if mixed_up and mixed_up.bad_at and (bad_at is None or mixed_up.bad_at > bad_at):
        bad_at, why = mixed_up.bad_at, mixed_up.bad_why
    return Way(
        name="We give Heska a token",
        good_at=max((key.token_at for key in keys if key.token_at), default=None),
        bad_at=bad_at,
        why=why,
    )


def _keys(clinic: Clinic) -> list[Key]:
    """The clinic's own clients, and the operator's for every clinic."""
    newest = (
        Message.objects.filter(clinic=clinic, state=each)
        .order_by("-received_at")
        .values("sender", "received_at")[:RESULTS]
        for each in (MessageState.FILED, MessageState.UNMATCHED, MessageState.QUARANTINED)
    )
    last: dict[str, datetime] = {}
    for rows in newest:
        for row in rows:
            at = last.get(row["sender"])
            last[row["sender"]] = max(at, row["received_at"]) if at else row["received_at"]
    found = (
        InboundClient.objects.filter(Q(clinic=clinic) | Q(clinic=None))
        .select_related("application", "made_by")
        .order_by("created_at", "pk")
    )
    return [
        Key(
            client_id=each.application.client_id,
            made_at=each.created_at,
            made_by=_name(each.made_by),
            token_at=each.token_at,
            refused_at=each.refused_at,
            refused_why=each.refused_why,
            result_at=last.get(each.application.client_id),
            everybodys=each.clinic_id is None,
        )
        for each in found
    ]


def _name(user: Any) -> str:
    return (user.get_full_name() or user.get_username()) if user else ""


def _queue(clinic: Clinic) -> Queue:
    due = Q(state__in=(SubmissionState.QUEUED, SubmissionState.UNKNOWN))
    row = Submission.objects.filter(clinic=clinic, state__in=(*WAITING, *STUCK)).aggregate(
        waiting=Count("pk", filter=Q(state__in=WAITING)),
        held=Count("pk", filter=Q(state=SubmissionState.HELD)),
        stuck=Count("pk", filter=Q(state__in=STUCK)),
        oldest_due=Min("not_before", filter=due),
        oldest=Min("created_at", filter=Q(state__in=WAITING)),
    )
    return Queue(**row)


def _intake(clinic: Clinic) -> Intake:
    """By the journal's index of state and time, one look for each state; one statement."""

    def of(*states: str) -> QuerySet[Message]:
        return Message.objects.filter(clinic=OuterRef("pk"), state__in=states)

    def newest(state: str, column: str = "received_at") -> Subquery:
        return Subquery(of(state).order_by("-received_at").values(column)[:1])

    late = journal.late(Message.objects.filter(clinic=OuterRef("pk")))
    waits = UnmatchedResult.objects.waiting().filter(clinic=OuterRef("pk"))
    row: dict[str, Any] = (
        Clinic.objects.filter(pk=clinic.pk)
        .values("pk")
        .annotate(
            filed=newest(MessageState.FILED),
            unmatched=newest(MessageState.UNMATCHED),
            pending=newest(MessageState.RECEIVED),
            aside=newest(MessageState.QUARANTINED),
            why=newest(MessageState.QUARANTINED, "cause"),
            oldest_late=_total(late, Min("pending_since")),
            dead=_total(
                of(MessageState.QUARANTINED).filter(attempts__gte=MAX_ATTEMPTS), Count("pk")
            ),
            unbalanced=_total(
                JournalCheck.objects.filter(clinic=OuterRef("pk"), holds=False), Count("pk")
            ),
            quarantined=_total(of(MessageState.QUARANTINED), Count("pk")),
            oldest_orphan=_total(waits, Min("created_at")),
        )
        .get()
    )
    taken = [row[name] for name in ("filed", "unmatched", "pending") if row[name]]
    return Intake(
        received_at=max(taken, default=None),
        came_at=max([*taken, *filter(None, [row["aside"]])], default=None),
        quarantined_at=row["aside"],
        quarantined_why=row["why"] or "",
        quarantined=row["quarantined"] or 0,
        dead=row["dead"] or 0,
        unbalanced=bool(row["unbalanced"]),
        oldest_late=row["oldest_late"],
        oldest_orphan=row["oldest_orphan"],
    )


def _total(rows: QuerySet[Any], aggregate: Any) -> Subquery:
    return Subquery(rows.order_by().values("clinic").annotate(n=aggregate).values("n"))
