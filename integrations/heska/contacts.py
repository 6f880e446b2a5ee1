"""When each way last went well and last went wrong. Never in the way of what is noted: a note that
can't be written costs a line in the log."""

from __future__ import annotations

import logging
from datetime import timedelta

from django.db import DatabaseError
from django.db.models import Q

from integrations.heska.answers import HeskaError
from integrations.heska.models import Connection, Contact, InboundClient
from labs import clock

log = logging.getLogger(__name__)
Kind = Contact.Kind
# A sender that asks again and again with a wrong secret is noted this often.
NOTED = timedelta(seconds=10)
LONGEST = 2000
WRONG_PAIR = "invalid_client"
REFUSED = {
    WRONG_PAIR: "The client secret is wrong.",
    "invalid_scope": "It asked for another scope than results:write.",
    "unsupported_grant_type": "It asked for another grant than client_credentials.",
}


def went_well(clinic_id: int, kind: str) -> None:
    _note(clinic_id, kind, good_at=clock.now())


def went_wrong(clinic_id: int, kind: str, why: str, words: str = "") -> None:
    _note(clinic_id, kind, bad_at=clock.now(), bad_why=why, bad_words=words[:LONGEST])


def _note(clinic_id: int, kind: str, **what: object) -> None:
    try:
        if not Contact.objects.filter(clinic_id=clinic_id, kind=kind).update(**what):
            Contact.objects.bulk_create(
                [Contact(clinic_id=clinic_id, kind=kind, **what)],
                update_conflicts=True,
                update_fields=list(what),
                unique_fields=["clinic", "kind"],
            )
    except DatabaseError as error:
        log.warning("Not noted, %s: %s", kind, type(error).__name__)


def asked_for_token(clinic_id: int, error: HeskaError | None) -> None:
    """We asked Heska. Two statements the first time, one from then on."""
    if error is None:
        went_well(clinic_id, Kind.TOKEN)
    else:
        went_wrong(clinic_id, Kind.TOKEN, str(error), error.words)


def was_asked_for_token(client_id: str, error: str) -> None:
    """Heska asked us; `error` as RFC 6749 names it, empty where it got one. Who it was is only
    known by the client id that was shown, and of a wrong secret nothing is kept."""
    now = clock.now()
    ours = InboundClient.objects.filter(application__client_id=client_id)
    try:
        if not error:
            ours.update(token_at=now)
            return
        why = REFUSED.get(error, f"It was refused: {error}.")
        lately = Q(refused_at__gt=now - NOTED)
        if ours.exclude(lately).update(refused_at=now, refused_why=why) or error != WRONG_PAIR:
            return
        theirs = Connection.objects.filter(client_id=client_id).only("clinic_id").first()
        if theirs is not None:
            went_wrong(
                theirs.clinic_id,
                Kind.MIXED_UP,
                "Heska asked us for a token with the client id that it gave you. That pair is for "
                "the other direction: give Heska the client id and secret made below.",
            )
    except DatabaseError as failed:
        log.warning("Not noted, a token call: %s", type(failed).__name__)
