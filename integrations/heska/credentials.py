"""The pair that Heska gave a clinic: entered, tested, replaced by another."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from django.db import transaction

from integrations.heska import client, connections, contacts
from integrations.heska.answers import HeskaError
from integrations.heska.conf import Endpoint, endpoint
from integrations.heska.models import Connection
from labs import roles
from labs.errors import InvalidInput
from labs.models import Clinic
from labs.services.events import record

if TYPE_CHECKING:
    from django.contrib.auth.models import User

# A person waits for it at the page, and a proxy before us does not wait for ever.
SECONDS = 15.0


@dataclass(frozen=True, kw_only=True)
class Asked:
    """One call for a token, with one subscription key. `refused`: Heska does not take the pair;
    else, where it is not `ok`, nobody knows whether it would. `stored`: it is the clinic's now."""

    ok: bool
    said: str
    words: str = ""
    refused: bool = False
    stored: bool = False
    key: str = ""
    milliseconds: int = 0


def test(*, acting_user: User | None, clinic: Clinic) -> list[Asked]:
    """Ask Heska for a token now with the clinic's pair, once with each subscription key; the token
    is not kept. Where one is given, orders that waited for the set-up go again.

    Raises NotAllowed; InvalidInput where no pair has been entered; Unreadable where the key for it
    is lost.
    """
    roles.require(acting_user, clinic, "administer")
    connection = Connection.objects.filter(clinic=clinic).first()
    if connection is None:
        raise InvalidInput("Enter the client id and secret that Heska gave you first.")
    asked = [
        _ask(each, name, connection.client_id, connection.client_secret)
        for name, each in _by_key(endpoint())
    ]
    works = any(each.ok for each in asked)
    if works:
        contacts.went_well(clinic.pk, contacts.Kind.TOKEN)
        connections.proven(connection)
    else:
        contacts.went_wrong(clinic.pk, contacts.Kind.TOKEN, asked[0].said, asked[0].words)
    record("heska.tested", clinic=clinic, acting_user=acting_user, source="command", ok=works)
    if works and connection.refused_at is not None:
        connections.resume(acting_user=acting_user, clinic=clinic)
    return asked


def enter(
    *,
    acting_user: User | None,
    clinic: Clinic,
    client_id: str,
    client_secret: str,
    untested: bool = False,
) -> Asked:
    """Store what Heska gave the clinic, if Heska takes it: it is asked for a token first, and until
    it has given one the earlier pair stays in use. So a wrong pair never stops a clinic. With
    `untested` it is stored also where Heska could not be asked; never where it refuses.

    Raises NotAllowed, InvalidInput.
    """
    roles.require(acting_user, clinic, "administer")
    client_id, client_secret = connections.checked(clinic, client_id, client_secret)
    asked = _ask(endpoint(), "", client_id, client_secret)
    if asked.ok or (untested and not asked.refused):
        with transaction.atomic():
            connections.store(
                acting_user=acting_user,
                clinic=clinic,
                client_id=client_id,
                client_secret=client_secret,
                proven=asked.ok,
            )
            record(
                "heska.credentials_entered",
                clinic=clinic,
                acting_user=acting_user,
                client_id=client_id,
                tested=asked.ok,
            )
        asked = replace(asked, stored=True)
    if asked.ok:
        contacts.went_well(clinic.pk, contacts.Kind.TOKEN)
    return asked


def _by_key(at: Endpoint) -> list[tuple[str, Endpoint]]:
    """Each subscription key alone, under the name of its setting where there are two."""
    if not at.next_key:
        return [("", at)]
    return [
        ("HESKA_SUBSCRIPTION_KEY", replace(at, next_key="")),
        ("HESKA_SUBSCRIPTION_KEY_NEXT", replace(at, subscription_key=at.next_key, next_key="")),
    ]


def _ask(at: Endpoint, key: str, client_id: str, client_secret: str) -> Asked:
    started = time.monotonic()

    def took() -> int:
        return round((time.monotonic() - started) * 1000)

    try:
        client.get_token(at, client_id=client_id, client_secret=client_secret, seconds=SECONDS)
    except HeskaError as error:
        return Asked(
            ok=False,
            said=str(error),
            words=error.words,
            refused=error.credentials,
            key=key,
            milliseconds=took(),
        )
    return Asked(ok=True, said="Heska gave a token.", key=key, milliseconds=took())
