"""What is wrong between a clinic and Heska, in a sentence that says who mends it. Pure, over what
`health` has read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from labs.queries.orders.progress import STALLED
from labs.queries.words import clock, duration

if TYPE_CHECKING:
    from integrations.heska.health import Health

# Secrets should be replaced before it is forgotten how.
OLD = timedelta(days=365)
ORPHAN = timedelta(hours=24)
# A client that was made so long ago, and with which nobody ever asked for a token.
UNUSED = timedelta(days=1)


@dataclass(frozen=True, kw_only=True)
class Trouble:
    """`code` for programs. `grave`: the connection does not work now; else it should be seen to.
    `alarm`: worth waking somebody."""

    code: str
    says: str
    grave: bool = True
    alarm: bool = True


def troubles(found: Health) -> Iterator[Trouble]:
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
