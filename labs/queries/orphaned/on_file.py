"""Animals as the matching holds them against an orphan: their records with the visit, the open
requests and the weighing nearest to the run; and who could be taken for whom."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from django.db.models import Q

from labs.matching.names import CUT, EXACT, NEAR, PART, Vocabulary
from labs.matching.rule import nearly
from labs.matching.sides import NEAR_IN_TIME, OnFile, Orphan
from labs.models import LabRequest, Patient, RequestState, TestState, Visit, Weight
from labs.queries.orphaned.by_keys import ByKeys
from labs.quick import Given

COLUMNS = (
    *("pk", "name", "name_key", "surname_key", "patient_id", "id_key", "species", "sex"),
    *("breed", "birth_date", "birth_date_estimated", "microchip", "deceased", "deceased_on"),
    *("owner_id", "owner__owner_id", "owner__first_name", "owner__last_name", "latest_visit"),
    "merged_into_id",
)
# By `patient__pk`: the lookup of the relation itself wants numbers while it is composed.
ANIMALS = ByKeys(
    lambda keys: (
        Patient.objects.filter(pk__in=keys, clinic=Given("clinic"), is_test=False)
        .order_by()
        .values_list(*COLUMNS)
    )
)
CLOSED = (RequestState.DRAFT, RequestState.COMPLETE, RequestState.CANCELLED)
TESTS_CLOSED = (TestState.COMPLETE, TestState.REFUSED, TestState.CANCELLED)


VISITS = ByKeys(
    lambda keys: (
        Visit.objects.filter(patient__pk__in=keys, at__range=(Given("since"), Given("until")))
        .order_by()
        .values_list("patient_id", "at", "doctor")
    )
)
REQUESTS = ByKeys(
    lambda keys: (
        LabRequest.objects.filter(patient__pk__in=keys, retrospective=False)
        .exclude(state__in=CLOSED)
        .order_by()
        .values_list(
            "patient_id",
            "doctor",
            "requested_at",
            "tests__panel",
            "tests__state",
            "tests__panel__name",
        )
    )
)
WEIGHTS = ByKeys(
    lambda keys: (
        Weight.objects.filter(patient__pk__in=keys)
        .order_by()
        .values_list("patient_id", "kg", "measured_on")
    )
)


@dataclass
class _Requests:
    doctors: list[str] = field(default_factory=list)
    latest: datetime | None = None
    panels: set[int] = field(default_factory=set)
    names: list[str] = field(default_factory=list)


def on_file(
    orphan: Orphan,
    rows: Mapping[int, tuple[Any, ...]],
    at: datetime,
    panels: frozenset[int],
) -> list[OnFile]:
    """Of an animal with several records one of each, all under the key of that which stands: its
    names and numbers differ, and the rest is that record's."""
    if not rows:
        return []
    pks = [pk for pk, row in rows.items() if standing(row) == pk]
    visits = _visits(pks, at)
    requests = _requests(pks)
    kilos = weights_of(pks, at.date()) if orphan.weight else {}
    today = orphan.around.at.date()
    found = {pk: _one(rows[pk], visits, requests, kilos, panels, today) for pk in pks}
    others = (row for row in rows.values() if standing(row) in found and standing(row) != row[0])
    return [*found.values(), *(_also_known(found[standing(row)], row) for row in others)]


def standing(row: tuple[Any, ...]) -> int:
    """The key of the record that stands for a row of COLUMNS."""
    key: int = row[-1] or row[0]
    return key


def _also_known(animal: OnFile, row: tuple[Any, ...]) -> OnFile:
    """By the names and numbers of a record that was merged into its own."""
    other = _one(row, {}, {}, {}, frozenset(), date.min)
    return replace(
        animal,
        name=other.name,
        name_key=other.name_key,
        surname_key=other.surname_key,
        patient_id=other.patient_id,
        microchip=other.microchip or animal.microchip,
        owner_id=other.owner_id,
        owner_first_name=other.owner_first_name,
        owner_last_name=other.owner_last_name,
    )


def _visits(pks: Sequence[int], at: datetime) -> dict[int, tuple[datetime, str]]:
    """Of each animal the visit nearest to the run, within a day."""
    found: dict[int, tuple[datetime, str]] = {}
    for pk, when, doctor in VISITS.rows(pks, since=at - NEAR_IN_TIME, until=at + NEAR_IN_TIME):
        if pk not in found or abs(when - at) < abs(found[pk][0] - at):
            found[pk] = when, doctor
    return found


def _requests(pks: Sequence[int]) -> dict[int, _Requests]:
    found: dict[int, _Requests] = {}
    for pk, doctor, when, panel, state, name in REQUESTS.rows(pks):
        each = found.setdefault(pk, _Requests())
        if doctor and doctor not in each.doctors:
            each.doctors.append(doctor)
        each.latest = max(when, each.latest or when)
        if panel is not None and state not in TESTS_CLOSED and panel not in each.panels:
            each.panels.add(panel)
            each.names.append(name)
    return found


def weights_of(pks: Sequence[int], day: date) -> dict[int, Decimal]:
    """Of each animal the weighing nearest to that day."""
    found: dict[int, tuple[int, Decimal]] = {}
    for pk, kg, on in WEIGHTS.rows(pks):
        off = abs((day - on).days)
        if pk not in found or off <= found[pk][0]:
            found[pk] = off, kg
    return {pk: kg for pk, (_, kg) in found.items()}


def _one(
    row: tuple[Any, ...],
    visits: Mapping[int, tuple[datetime, str]],
    requests: Mapping[int, _Requests],
    kilos: Mapping[int, Decimal],
    panels: frozenset[int],
    today: date,
) -> OnFile:
    (pk, name, name_key, surname_key, patient_id, _, species, sex, breed, born, estimated) = row[
        :11
    ]
    chip, deceased, deceased_on, owner, owner_id, first, last, latest, _ = row[11:]
    seen, doctor = visits.get(pk, (None, ""))
    open_ = requests.get(pk)
    doctors = [doctor] if doctor else []
    tests = None
    if open_ is not None:
        doctors += [each for each in open_.doctors if each != doctor]
        seen = seen or open_.latest
        if open_.panels and panels:
            tests = len(panels & open_.panels) / len(panels)
    return OnFile(
        key=pk,
        name=name,
        name_key=name_key,
        surname_key=surname_key,
        patient_id=patient_id,
        species=species,
        sex=sex,
        breed=breed,
        birth_date=born,
        birth_estimated=estimated,
        weight_kg=kilos.get(pk),
        microchip=chip,
        deceased=deceased,
        deceased_on=deceased_on,
        household=owner,
        owner_id=owner_id or "",
        owner_first_name=first or "",
        owner_last_name=last or "",
        last_seen=seen or latest,
        doctors=tuple(doctors),
        open_request=open_ is not None,
        tests=tests,
        tests_words=", ".join(open_.names) if open_ else "",
    )


def namesakes(clinic_id: int, first: OnFile, registry: Any) -> dict[int, OnFile]:
    """Animals that a person could take for that one, by their records alone, the deceased too: two
    statements. Only names that the rule calls near are looked for, so that of any number of animals
    the first fifty are answer enough."""
    own, surname = first.name_key or "", first.surname_key or ""
    names = _nearly(own, registry.names)
    surnames = _nearly(surname, registry.surnames)
    same = Q(name_key__in=names) & Q(surname_key__in=[*surnames, ""])
    if not surname:
        same = Q(name_key__in=names)
    animals = Patient.objects.filter(clinic=clinic_id, is_test=False).exclude(
        Q(pk=first.key) | Q(merged_into=first.key, merged_into__isnull=False)
    )
    rows = list(animals.filter(same).order_by()[:50].values_list(*COLUMNS))
    if first.household is not None:
        rows += animals.filter(owner=first.household).order_by().values_list(*COLUMNS)
    return {row[0]: _one(row, {}, {}, {}, frozenset(), date.min) for row in rows}


def _nearly(name: str, vocabulary: Vocabulary) -> list[str]:
    """A part of a double name too: “Smith” of “Smith-Jones”, and the other way round."""
    levels = vocabulary.classify(name, weak=False)
    return [key for key in levels.keys(EXACT, NEAR, CUT, PART) if nearly(name, key)]
