"""The bearer token of a clinic, kept encrypted in its connection and renewed before it ends.

One worker calls for it and the others wait: the flight is a lease in the connection's row, claimed
by a conditional UPDATE, so it works on SQLite and PostgreSQL alike and holds no transaction over
the call. It only spares calls. Were it granted twice, each caller would use the token that it got
and one of them would be kept; a token that Heska has replaced meanwhile is a 401, which is mended.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db.models import BooleanField, Case, F, Q, Value, When

from integrations.heska import client, connections, contacts
from integrations.heska.answers import HeskaError
from integrations.heska.conf import endpoint
from integrations.heska.models import Connection
from labs import clock

# A token that ends within this time is not used any more: it might end on the way.
EARLY = timedelta(seconds=60)
# Outlives the call, which ends by 30 s.
LEASE = timedelta(seconds=35)
# For another worker's call. Who waits longer keeps other clinics' orders waiting: better to try
# again in a moment.
PATIENCE_SECONDS = 10.0
# After a call that failed, until the next one; the last again and again.
WAITS = [timedelta(seconds=seconds) for seconds in (5, 30, 120, 600)]
LOOK_AGAIN_SECONDS = 0.1


@dataclass(frozen=True, kw_only=True)
class Token:
    """`fresh`: it was called for just now, by whoever asked."""

    value: str
    id: uuid.UUID
    fresh: bool = False


def get(connection: Connection, left: Callable[[], float]) -> Token:
    """The cached token, else a new one; where another worker calls for it, the one it gets. `left`:
    seconds until the caller must be done. Raises HeskaError: no order was sent."""
    patience = time.monotonic() + PATIENCE_SECONDS
    while True:
        row = _look(connection)
        if row.usable and row.token_id:
            return Token(value=row.token, id=row.token_id)
        if row.refused_at:
            raise _refused(row)
        if row.resting:
            # Heska was asked by somebody a moment ago; one question at each step is enough.
            raise HeskaError(
                row.token_error,
                permanent=False,
                not_sooner=row.token_not_before - clock.read(),
            )
        if lease := _claim(row):
            return _call(row, lease, left())
        if left() < 1 or time.monotonic() > patience:
            raise HeskaError("Heska's token did not come in time.", permanent=False)
        time.sleep(LOOK_AGAIN_SECONDS)


def drop(connection: Connection, token: Token) -> None:
    """Forget it, if it is still the one that is kept."""
    Connection.objects.filter(pk=connection.pk, token_id=token.id).update(
        token="", token_expires_at=None, token_id=None
    )


def _look(connection: Connection) -> Any:
    now = clock.now()
    return Connection.objects.annotate(
        usable=_is(token_expires_at__gt=now + EARLY),
        resting=_is(token_not_before__gt=now),
    ).get(pk=connection.pk)


def _is(**condition: Any) -> Case:
    return Case(
        When(Q(**condition), then=Value(True)), default=Value(False), output_field=BooleanField()
    )


def _claim(row: Connection) -> uuid.UUID | None:
    """The right to call. Only while the row is as it was seen: a call that ended since then has
    left a token, or a time before which there must be no other."""
    now = clock.now()
    lease = uuid.uuid4()
    changed = Connection.objects.filter(
        Q(token_lease=None) | Q(token_lease_until__lt=now),
        pk=row.pk,
        token_id=row.token_id,
        token_failures=row.token_failures,
        token_expires_at=row.token_expires_at,
    ).update(token_lease=lease, token_lease_until=now + LEASE)
    return lease if changed else None


def _call(row: Connection, lease: uuid.UUID, seconds: float) -> Token:
    # Kept only while the lease stands: credentials entered meanwhile take it away.
    own = Connection.objects.filter(pk=row.pk, token_lease=lease)
    try:
        value, holds = client.get_token(
            endpoint(),
            client_id=row.client_id,
            client_secret=row.client_secret,
            seconds=seconds,
        )
    except HeskaError as error:
        # Whatever became of this call: the order itself was surely not sent.
        error.outcome_unknown = False
        wait = error.retry_after or WAITS[min(row.token_failures, len(WAITS) - 1)]
        own.update(
            token_lease=None,
            token_failures=F("token_failures") + 1,
            token_not_before=None if error.permanent else clock.now() + wait,
            token_error=str(error),
        )
        contacts.asked_for_token(row.clinic_id, error)
        raise
    contacts.asked_for_token(row.clinic_id, None)
    if row.proven_at is None:
        connections.proven(row)
    token = Token(value=value, id=uuid.uuid4(), fresh=True)
    # One that holds for less than two minutes is shared for half of its time.
    shared = max(holds - EARLY, holds / 2)
    own.update(
        token=value,
        token_expires_at=clock.now() + shared + EARLY,
        token_id=token.id,
        token_lease=None,
        token_failures=0,
        token_not_before=None,
        token_error="",
    )
    return token


def _refused(row: Connection) -> HeskaError:
    return HeskaError(
        row.refused_why, permanent=True, words=row.refused_words, set_up=True, stops_clinic=True
    )
