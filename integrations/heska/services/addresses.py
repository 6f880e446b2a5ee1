"""Which clinic and which request the address of a message names."""

from __future__ import annotations

from django.db.models import Q

from integrations.heska.models import Connection
from labs.models import Clinic, Message

UNMATCHED_PATH = "unmatchedlabresults"


def is_other_clinics(message: Message) -> bool:
    kind, key = parts(message)
    return kind == UNMATCHED_PATH and clinic_named(key, of=message.clinic) != message.clinic


def parts(message: Message) -> tuple[str, str]:
    kind, _, key = message.target.strip("/").removeprefix("api/").partition("/")
    return kind, key


def clinic_named(clinic_id: str, *, of: Clinic | None) -> Clinic | None:
    """The clinic that an address for unmatched results names: by our own id, or by the client id
    that Heska gave it [seed]. `of`: the clinic of the token, or None for a vendor-wide one; then
    only a client id for which Heska has once given a token names a clinic, because anybody's
    administrator may type any (I3)."""
    clinic: Clinic | None = Clinic.objects.filter(public_id=clinic_id).first()
    if clinic is not None:
        return clinic
    named = Connection.objects.filter(client_id=clinic_id)
    found: Clinic | None = Clinic.objects.filter(
        pk__in=named.filter(Q(clinic=of) | Q(proven_at__isnull=False)).values("clinic")
    ).first()
    return found


def is_named(clinic: Clinic, clinic_id: str) -> Clinic | None:
    """That clinic where it is the one that the address names, as `clinic_named` would; else
    None."""
    if clinic.public_id == clinic_id:
        return clinic
    named = Connection.objects.filter(clinic=clinic, client_id=clinic_id).exists()
    return clinic if named else None
