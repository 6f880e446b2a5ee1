"""Whether an animal that is about to be added is on file already."""

from __future__ import annotations

from dataclasses import dataclass

from django.db.models import F, Q

from labs.keys import chip_key, id_key, is_placeholder, plain
from labs.matching.names import EXACT, NEAR, Vocabulary
from labs.matching.reading import one_edit_apart
from labs.models import Clinic, Owner, Patient
from labs.models.patient import with_own_id
from labs.queries.orphaned.vocabulary import registry_of

LOOKED_AT = 300
SHOWN = 6


@dataclass(frozen=True, kw_only=True)
class Duplicate:
    """An animal on file that it may be, and why: `same chip`, `same name and owner` …"""

    patient: Patient
    why: str


def duplicates(
    clinic: Clinic, *, name: str, surname: str, patient_id: str = "", microchip: str = ""
) -> list[Duplicate]:
    """The likeliest first, at most six. Two statements, and one more where names changed since this
    process asked last. One that was merged away is found by what its record says, and the record
    that stands is told.

    A name that is the same or one letter off counts where the owners' surnames do too, or one of
    them is not known; a chip or an id counts alone. Deceased animals are told too: a replacement
    puppy often has the old one's name, and a wrong record is often of the old one.
    """
    wanted = Q()
    chip, own_id = chip_key(microchip)[:32], patient_id.strip()
    called, owned = plain(name), plain(surname)
    if chip:
        wanted |= Q(chip_key=chip)
    if own_id and not is_placeholder(own_id):
        wanted |= with_own_id(own_id)
    if called and not owned:
        wanted |= Q(name_key=called)
    elif called:
        # Never all that bear a name: a thousand Bellas of others would hide the one of that owner.
        registry = registry_of(clinic.pk)
        wanted |= Q(name_key=called, surname_key__in=["", *_near(registry.surnames, owned)])
        wanted |= Q(name_key__in=_near(registry.names, called), surname_key=owned)
    if not wanted:
        return []
    rows = Patient.objects.filter(wanted, clinic=clinic, is_test=False).select_related(
        "owner", "merged_into__owner"
    )
    found = []
    latest = F("latest_visit").desc(nulls_last=True)
    for patient in rows.order_by(latest, "name", "pk")[:LOOKED_AT]:
        why = _why(patient, called, owned, own_id, chip)
        if why:
            found.append(Duplicate(patient=patient.now, why=why))
    found.sort(key=lambda each: ORDER.index(each.why))
    once = {each.patient.pk: each for each in reversed(found)}
    return [each for each in found if once[each.patient.pk] is each][:SHOWN]


ORDER = [
    "same microchip",
    "same id",
    "same name and owner",
    "similar name, same owner",
    "same name, similar owner",
    "same name, no owner to compare",
]


def _near(names: Vocabulary, key: str) -> list[str]:
    return [key, *names.classify(key, weak=False).keys(EXACT, NEAR)[:LOOKED_AT]]


def _why(patient: Patient, called: str, owned: str, own_id: str, chip: str) -> str:
    if chip and patient.chip_key == chip:
        return "same microchip"
    if own_id and not is_placeholder(own_id) and id_key(patient.patient_id) == id_key(own_id):
        return "same id"
    same, near = called == patient.name_key, one_edit_apart(called, patient.name_key)
    owner = patient.surname_key
    if same and not (owner and owned):
        return "same name, no owner to compare"
    if same and owner == owned:
        return "same name and owner"
    if same and one_edit_apart(owner, owned):
        return "same name, similar owner"
    return "similar name, same owner" if near and owner == owned else ""


def owners_called(clinic: Clinic, surname: str) -> list[Owner]:
    """Owners on file with that surname, at most twelve: an owner is never added beside them unless
    a person says so. One statement."""
    if not surname.strip():
        return []
    rows = Owner.objects.filter(clinic=clinic, last_name__iexact=surname.strip())
    return list(rows.order_by("first_name", "pk")[:12])
