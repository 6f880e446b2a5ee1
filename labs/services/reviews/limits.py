"""Whose critical limits a clinic's values are held against, and how its administrators change
them."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from django.db import transaction
from django.db.models import Q

from labs import roles, values
from labs.errors import InvalidInput
from labs.limits import Limit, Source
from labs.models import Analyte, Clinic, CriticalLimit, Species
from labs.quick import Compiled, Given
from labs.services.events import record
from labs.services.intake.rows import Known

if TYPE_CHECKING:
    from django.contrib.auth.models import User

LONGEST_UNIT = 32
LIMITS = Compiled(
    CriticalLimit.objects.filter(Q(clinic=Given("clinic")) | Q(clinic=None))
    .order_by()
    .values_list("analyte_id", "species", "unit", "low", "high", "clinic_id")
)


def with_limits(known: dict[str, Known], clinic_id: int | None, species: str) -> dict[str, Known]:
    """The catalogue with that clinic's limits, and the demo ones. One statement."""
    of: dict[int, list[Limit]] = defaultdict(list)
    for analyte, animal, unit, low, high, clinic in LIMITS.rows(clinic=clinic_id or 0):
        source = Source.CLINIC if clinic else Source.DEMO
        of[analyte].append(Limit(animal, unit, low, high, source))
    return {
        code: analyte._replace(limits=tuple(of[analyte.pk]), species=species)
        if analyte.pk in of
        else analyte
        for code, analyte in known.items()
    }


def set_limit(
    *,
    acting_user: User | None,
    clinic: Clinic,
    analyte: str,
    species: str,
    unit: str,
    low: str,
    high: str,
) -> CriticalLimit:
    """From now on that is this clinic's critical limit for the analyte, species and unit; without
    either end nothing is critical there. What was filed keeps what it was held against.

    Raises InvalidInput, NotAllowed.
    """
    roles.require(acting_user, clinic, "administer")
    entry = Analyte.objects.filter(code=analyte.strip()).first()
    if entry is None:
        raise InvalidInput(f"There is no value “{analyte}” in the catalogue.")
    if species not in Species.values:
        raise InvalidInput("Choose the species.")
    unit = unit.strip()
    if len(unit) > LONGEST_UNIT or not unit.isprintable():
        raise InvalidInput("Give the unit as the analyzer prints it.")
    ends = [_end(low), _end(high)]
    if ends[0] and ends[1] and float(ends[0]) >= float(ends[1]):
        raise InvalidInput("The low limit has to be below the high one.")
    # A unit that is written a little otherwise is the same limit, not a second one.
    for known in CriticalLimit.objects.filter(
        Q(clinic=clinic) | Q(clinic=None), analyte=entry, species=species
    ).order_by("clinic"):
        if values.same_unit(known.unit, unit):
            unit = known.unit
    with transaction.atomic():
        own: CriticalLimit
        own, created = CriticalLimit.objects.select_for_update().get_or_create(
            clinic=clinic,
            analyte=entry,
            species=species,
            unit=unit,
            defaults={"low": ends[0], "high": ends[1], "set_by": acting_user},
        )
        was = "" if created else f"{own.low}..{own.high}"
        own.low, own.high, own.set_by = ends[0], ends[1], acting_user
        own.save()
        _record("limit.set", own, acting_user, was)
    return own


def remove_limit(*, acting_user: User | None, own: CriticalLimit) -> None:
    """The demo limit counts again, if there is one. Raises NotAllowed."""
    if own.clinic is None:
        raise InvalidInput("Demo limits stay. Set one of your own instead.")
    roles.require(acting_user, own.clinic, "administer")
    with transaction.atomic():
        deleted, _ = CriticalLimit.objects.filter(pk=own.pk).delete()
        if deleted:
            _record("limit.removed", own, acting_user, f"{own.low}..{own.high}")


def _end(text: str) -> str:
    if not text.strip():
        return ""
    number = values.read_number(text)
    shown = "" if number is None else values.canonical(number)
    if not shown or len(shown) > LONGEST_UNIT:
        raise InvalidInput(f"“{text.strip()[:40]}” is no number. Use a point for decimals: 2.5")
    return shown


def _record(verb: str, own: CriticalLimit, acting_user: User | None, was: str) -> None:
    record(
        verb,
        clinic=own.clinic,
        acting_user=acting_user,
        source="command",
        analyte=own.analyte.code,
        species=own.species,
        unit=own.unit,
        limit=f"{own.low}..{own.high}" if verb == "limit.set" else "",
        was=was,
    )
