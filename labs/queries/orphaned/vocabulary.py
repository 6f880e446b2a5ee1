"""The names of a clinic's registry as the matching needs them, and whether they are in step."""

from __future__ import annotations

import threading
from collections import Counter, OrderedDict
from dataclasses import dataclass, field
from typing import Any

from django.db import connection

from labs.keys import chip_key, plain, stored_id
from labs.matching import names
from labs.matching.hypotheses import Registry
from labs.models import Clinic, NameCount, Patient, Vocabulary
from labs.models.vocabulary import COLUMNS, Kind, Tally, tally
from labs.quick import Compiled, Given

# So many names of all clinics together are kept in a process: about 200 MB.
KEPT = 600_000


@dataclass
class _Known:
    version: int = 0
    vocabularies: dict[str, names.Vocabulary] = field(
        default_factory=lambda: {kind: names.Vocabulary() for kind in Kind.values}
    )

    def __len__(self) -> int:
        return sum(len(each) for each in self.vocabularies.values())


VERSION = Compiled(
    Vocabulary.objects.filter(pk=Given("clinic")).order_by().values_list("version", "forgotten")
)
_known: OrderedDict[int, _Known] = OrderedDict()
_lock = threading.Lock()


def registry_of(clinic_id: int) -> Registry:
    """One statement, and one more where names changed since this process asked last."""
    with _lock:
        known = _up_to_date(clinic_id)
        species, breeds = known.vocabularies[Kind.SPECIES], known.vocabularies[Kind.BREED]
        return Registry(
            known.vocabularies[Kind.NAME],
            known.vocabularies[Kind.SURNAME],
            species.counts,
            breeds.counts,
            species.total,
        )


def _up_to_date(clinic_id: int) -> _Known:
    version, forgotten = next(iter(VERSION.rows(clinic=clinic_id)), (0, 0))
    known = _known.get(clinic_id)
    stale = known is None or known.version > version or known.version < forgotten
    if known is None or stale or connection.in_atomic_block:
        # Whoever is in the middle of a transaction may see what will never have been: they read all
        # of it, and leave nothing behind.
        known = _Known()
    if known.version != version:
        rows = NameCount.objects.filter(clinic=clinic_id, version__gt=known.version)
        for kind, key, count in rows.values_list("kind", "key", "count"):
            known.vocabularies[kind].put(key, count)
        known.version = version
    if not connection.in_atomic_block:
        _known[clinic_id] = known
        _known.move_to_end(clinic_id)
        while len(_known) > 1 and sum(map(len, _known.values())) > KEPT:
            _known.popitem(last=False)
    return known


def counted(clinic: Clinic) -> Tally:
    """What the registry itself says, animal by animal; for the check and the rebuild."""
    return tally(Patient.objects.filter(clinic=clinic).order_by().values_list(*COLUMNS).iterator())


def differences(clinic: Clinic) -> list[str]:
    """What is not in step, in words; empty where all is. Reads every animal of the clinic."""
    found = []
    stored: Tally = Counter()
    for kind, key, count in NameCount.objects.filter(clinic=clinic).values_list(
        "kind", "key", "count"
    ):
        stored[kind, key] = count
    real = counted(clinic)
    for pair in sorted(set(stored) | set(real)):
        if stored[pair] != real[pair]:
            kind, key = pair
            found.append(f"{kind} “{key}”: {stored[pair]} counted, {real[pair]} there")
    for row in stale(clinic):
        found.append(f"patient {row['patient_id']} is found by something else than its record")
    return found


def stale(clinic: Clinic) -> list[dict[str, Any]]:
    """Animals whose keys are not those of their record."""
    rows = Patient.objects.filter(clinic=clinic).order_by().select_related("owner")
    return [
        {"pk": patient.pk, "patient_id": patient.patient_id}
        for patient in rows.iterator()
        if (patient.name_key, patient.id_key, patient.chip_key, patient.surname_key)
        != (
            plain(patient.name)[:200],
            stored_id(patient.patient_id)[:64],
            chip_key(patient.microchip)[:32],
            patient.owner.surname_key if patient.owner else "",
        )
    ]
