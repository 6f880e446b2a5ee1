"""Whether an animal that is about to be added is on file already."""

from __future__ import annotations

from dataclasses import dataclass

from django.db.models import Q

from labs.matching.reading import id_key, is_placeholder, one_edit_apart, plain
from labs.models import Clinic, Owner, Patient
from labs.models.patient import with_own_id

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
    """The likeliest first, at most six. One statement. One that was merged away is found by what
    its record says, and the record that stands is told.

    A name that is the same or one letter off counts where the owners' surnames do too, or one of
    them is not known; a chip or an id counts alone. Deceased animals are told too: a replacement
    puppy often has the old one's name, and a wrong record is often of the old one.
    """
    wanted = Q()
    chip, own_id = microchip.replace(" ", ""), patient_id.strip()
    if chip:
        wanted |= Q(microchip=chip)
    if own_id and not is_placeholder(own_id):
        wanted |= with_own_id(own_id)
    if plain(name):
        wanted |= Q(name__iexact=name.strip())
        if plain(surname):
            # A first letter mistyped in both at once is not found; nor is it in the search box.
            wanted |= Q(
                name__istartswith=name.strip()[:1], owner__last_name__iexact=surname.strip()
            ) | Q(name__istartswith=name.strip()[:2], owner__last_name__istartswith=surname[:2])
    if not wanted:
        return []
    rows = Patient.objects.filter(wanted, clinic=clinic, is_test=False).select_related(
        "owner", "merged_into__owner"
    )
    found = []
    for patient in rows.order_by("name", "pk")[:LOOKED_AT]:
        why = _why(patient, name, surname, own_id, chip)
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


def _why(patient: Patient, name: str, surname: str, own_id: str, chip: str) -> str:
    if chip and patient.microchip == chip:
        return "same microchip"
    if own_id and not is_placeholder(own_id) and id_key(patient.patient_id) == id_key(own_id):
        return "same id"
    mine, theirs = plain(name), plain(patient.name)
    owner = plain(patient.owner.last_name) if patient.owner else ""
    given = plain(surname)
    same, near = mine == theirs, one_edit_apart(mine, theirs)
    if same and not (owner and given):
        return "same name, no owner to compare"
    if same and owner == given:
        return "same name and owner"
    if same and one_edit_apart(owner, given):
        return "same name, similar owner"
    return "similar name, same owner" if near and owner == given else ""


def owners_called(clinic: Clinic, surname: str) -> list[Owner]:
    """Owners on file with that surname, at most twelve: an owner is never added beside them unless
    a person says so. One statement."""
    if not surname.strip():
        return []
    rows = Owner.objects.filter(clinic=clinic, last_name__iexact=surname.strip())
    return list(rows.order_by("first_name", "pk")[:12])
