"""How it goes between a clinic and Heska: what its administrator sees, and what an operator's
monitoring asks for. Read only; nobody is called."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Count, Min, OuterRef, Q, QuerySet, Subquery
from django.utils import timezone

from integrations.heska import missing
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
from labs.queries import journal
from labs.queries.words import STALLED, clock, duration
from labs.services.journal import MAX_ATTEMPTS

# Secrets should be replaced before it is forgotten how.
OLD = timedelta(days=365)
ORPHAN = timedelta(hours=24)
# A client that was made so long ago, and with which nobody ever asked for a token.
UNUSED = timedelta(days=1)
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
class Trouble:
    """`code` for programs. `grave`: the connection does not work now; else it should be seen to.
    `alarm`: worth waking somebody."""

    code: str
    says: str
    grave: bool = True
    alarm: bool = True


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
    def troubles(self) -> list[Trouble]:
        return sorted(_troubles(self), key=lambda each: not each.grave)

    @property
    def own_keys(self) -> list[Key]:
        return [key for key in self.keys if not key.everybodys]

    @property
    def entered_old(self) -> bool:
        return self.connection is not None and self.now - self.connection.entered_at > OLD

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


def _troubles(found: Health) -> Iterator[Trouble]:
    yield from _of_the_set_up(found)
    yield from _on_the_way_out(found)
    yield from _on_the_way_in(found)


def _of_the_set_up(found: Health) -> Iterator[Trouble]:
    connection = found.connection
    if connection is None:
        yield Trouble(
            code="not_connected",
            says="No order can be sent: enter the client id and secret that Heska gave you.",
        )
    elif found.unreadable:
        yield Trouble(
            code="unreadable",
            says="Heska's secret can't be read with any of FIELD_ENCRYPTION_KEYS. The operator "
            "puts the earlier key back, or you enter the secret again.",
        )
    elif found.entered_old:
        yield Trouble(
            code="credentials_old",
            says=f"Heska's secret was entered {duration(found.now - connection.entered_at)} ago. "
            "Ask Heska for a new pair once a year, and enter it here.",
            grave=False,
            alarm=False,
        )
    if not found.keys:
        yield Trouble(
            code="no_client",
            says="Heska can't post results: make a client id and secret for it.",
        )
    for key in found.own_keys:
        if key.age > OLD:
            yield Trouble(
                code="client_old",
                says=f"Heska's way in {key.client_id} is {duration(key.age)} old. Make a second "
                "one, give it to Heska, and revoke this one once it is used no more.",
                grave=False,
                alarm=False,
            )
        elif key.token_at is None and key.age > UNUSED:
            yield Trouble(
                code="client_unused",
                says=f"Heska has never asked for a token with {key.client_id}. Ask whether it has "
                "entered it, or revoke it.",
                grave=False,
                alarm=False,
            )
    if found.ways["address"].fails:
        yield Trouble(code="address", says=found.ways["address"].why)


def _on_the_way_out(found: Health) -> Iterator[Trouble]:
    connection, queue = found.connection, found.queue
    if found.unreadable:
        pass  # said above, and nothing is sent until it is mended
    elif connection is not None and connection.refused_at is not None:
        yield Trouble(
            code="refused",
            says=f"Since {clock(connection.refused_at)} no order of this clinic is sent. "
            f"{connection.refused_why}",
        )
    elif found.ways["token_out"].fails:
        yield Trouble(
            code="token_out", says=f"Heska gives us no token. {found.ways['token_out'].why}"
        )
    elif found.ways["order"].fails and queue.waiting:
        yield Trouble(code="order", says=f"Orders don't get through. {found.ways['order'].why}")
    if queue.oldest_due and found.now - queue.oldest_due > STALLED:
        yield Trouble(
            code="stalled",
            says=f"An order has been due for {duration(found.now - queue.oldest_due)} and nobody "
            "takes it up. The operator looks whether the worker runs.",
        )
    if queue.held:
        yield Trouble(
            code="held", says=_count(queue.held, "order waits", "orders wait") + " for the set-up."
        )
    if queue.stuck:
        yield Trouble(
            code="stuck",
            says=_count(
                queue.stuck,
                "order was not taken and needs attention.",
                "orders were not taken and need attention.",
            ),
            grave=False,
        )


def _on_the_way_in(found: Health) -> Iterator[Trouble]:
    intake = found.intake
    if found.ways["token_in"].fails:
        yield Trouble(
            code="token_in", says=f"Heska was refused a token. {found.ways['token_in'].why}"
        )
    else:
        for key in found.keys:
            if key.refused_last:
                yield Trouble(
                    code="token_in",
                    says=f"Heska was refused a token. {key.refused_why} Client id {key.client_id}.",
                )
    if found.silent > timedelta(hours=found.clinic.quiet_hours):
        yield Trouble(
            code="silent",
            says=f"Nothing has come from Heska in {duration(found.silent)} of your opening hours, "
            "though orders are out. Look at the analyzers' gateway, then ask Heska.",
        )
    if intake.oldest_late:
        yield Trouble(
            code="pending",
            says=f"A message has waited for {duration(found.now - intake.oldest_late)} to be filed."
            " The operator looks whether the worker runs.",
        )
    if intake.unbalanced:
        yield Trouble(
            code="unbalanced",
            says="Not every message that came is found again. Tell the operator.",
        )
    if intake.dead:
        yield Trouble(
            code="dead",
            says=_count(intake.dead, "message", "messages")
            + " could not be filed, and will not be tried again by itself.",
        )
    if intake.quarantined:
        yield Trouble(
            code="quarantined",
            says=_count(intake.quarantined, "message is", "messages are")
            + " in quarantine, until somebody has looked.",
            grave=False,
            alarm=False,
        )
    if intake.oldest_orphan and found.now - intake.oldest_orphan > ORPHAN:
        yield Trouble(
            code="orphan",
            says=f"An unmatched result has waited for {duration(found.now - intake.oldest_orphan)}."
            " Put it on its patient.",
            grave=False,
        )
    if found.missing:
        count = len({row.lab_report_id for row in found.missing})
        yield Trouble(
            code="missing",
            says=_count(count, "request has tests", "requests have tests") + " that never came.",
            grave=False,
            alarm=False,
        )


def _count(number: int, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}"
