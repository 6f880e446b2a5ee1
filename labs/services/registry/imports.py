"""Bringing in a practice's own records from CSV files: all or nothing, in one transaction."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.db import transaction

from labs import roles
from labs.errors import SentBefore
from labs.models import Clinic, Patient, Visit, Weight, vocabulary
from labs.services import bulk
from labs.services.events import record
from labs.services.registry import csv_patients, csv_visits
from labs.services.registry.csv_file import ImportRefused, Problem
from labs.services.registry.csv_patients import PatientLine
from labs.services.registry.import_owners import resolve_owners
from labs.services.registry.patients import new_patient_id, today
from labs.services.reviews import species as species_of_results

if TYPE_CHECKING:
    from django.contrib.auth.models import User

PATIENT_COLUMNS = (
    *("owner_id", "name", "species", "breed", "sex", "neutered", "birth_date"),
    *("birth_date_estimated", "microchip", "deceased", "deceased_on"),
)


SHOWN = 5  # lines of a checked file


@dataclass(frozen=True, kw_only=True)
class Check:
    """What importing a file would do. `lines`: the first of them as they were read, empty where it
    is no table at all. `report` as of `import_patients`, None where there are `problems`."""

    lines: list[PatientLine] = field(default_factory=list)
    report: dict[str, Any] | None = None
    problems: list[Problem] = field(default_factory=list)


def check_patients(*, acting_user: User | None, clinic: Clinic, content: bytes) -> Check:
    """The import itself, taken back: what it says is what `import_patients` would say now. The ids
    that it gives are others each time. Raises NotAllowed."""
    roles.require(acting_user, clinic, "administer")
    first: list[PatientLine] = []
    try:
        lines, problems = csv_patients.read(content, today(clinic))
        first = copy.deepcopy(lines[:SHOWN])  # an id that is given is not one that was read
        with transaction.atomic():
            report, _ = _bring(acting_user, clinic, lines, problems)
            transaction.set_rollback(True)
    except ImportRefused as refused:
        return Check(lines=first, problems=refused.problems)
    return Check(lines=first, report=report)


def import_patients(
    *,
    acting_user: User | None,
    clinic: Clinic,
    content: bytes,
    form_key: UUID | None = None,
) -> dict[str, Any]:
    """Upsert patients and owners by the practice's own ids; an empty cell leaves what is stored. A
    patient without an id is the one animal of that owner with that name and species, else new, and
    given an id. A weight is a new weighing of today if it differs from the latest one.

    A record that was merged away stays so: its line is read as one of the record that it was merged
    into, unless another line of the file is of that one; then nothing of it is taken.

    Returns `created`, `updated`, `unchanged`, `weights`, `given` (line and new id), and where there
    are such `merged` (line, its id, the id it went to, whether it was taken). Idempotent but for
    animals that have neither an id nor an owner: so a form that is sent twice has a `form_key`, and
    adds them once. Raises ImportRefused, SentBefore, NotAllowed.
    """
    roles.require(acting_user, clinic, "administer")
    lines, problems = csv_patients.read(content, today(clinic))
    with transaction.atomic():
        report, corrected = _bring(acting_user, clinic, lines, problems, form_key)
    species_of_results.follow(corrected)
    return report


def _bring(
    acting_user: User | None,
    clinic: Clinic,
    lines: list[PatientLine],
    problems: list[Problem],
    form_key: UUID | None = None,
) -> tuple[dict[str, Any], list[int]]:
    """In the caller's transaction. Returns with the report whose species it corrected."""
    # One import of a clinic at a time: two with the same new owner would make two of it.
    Clinic.objects.select_for_update(no_key=True).get(pk=clinic.pk)
    # Whoever edits a record waits: what they wrote after it was read would be written over.
    vocabulary.lock(clinic.pk)
    if form_key and Patient.objects.filter(clinic=clinic, form_key=form_key).exists():
        raise SentBefore(
            "Nothing was imported now: this form was sent before, and its patients are there."
        )
    known = {
        patient.patient_id: patient
        for patient in bulk.find(
            Patient.objects.filter(clinic=clinic).select_related("owner", "merged_into__owner"),
            "patient_id",
            (line.patient_id for line in lines if line.patient_id),
        )
    }
    lines, merged = _follow_merges(lines, known)
    owners, owner_of, more = resolve_owners(clinic, lines, known)
    found, still_more = _without_id(clinic, lines, owner_of)
    tests = [
        Problem(line.number, f"{line.patient_id} is no animal: it is there for test orders.")
        for line in lines
        if line.patient_id in known and known[line.patient_id].is_test
    ]
    if problems := problems + more + still_more + tests:
        raise ImportRefused(problems)
    known |= found
    owners.write()
    for line in lines:
        if line.number in owner_of:
            line.patient["owner_id"] = owners.stored[owner_of[line.number]].pk
    report, corrected = _write_patients(clinic, lines, known, form_key)
    if merged:
        report["merged"] = merged
    report["weights"] = _write_weights(clinic, lines, known)
    record(
        "patients.imported",
        clinic=clinic,
        acting_user=acting_user,
        source="command",
        created=report["created"],
        updated=report["updated"],
    )
    return report, corrected


def _follow_merges(
    lines: list[PatientLine], known: dict[str, Patient]
) -> tuple[list[PatientLine], list[dict[str, Any]]]:
    """The lines that are read, those of records that were merged away under the other record's id;
    and what is said of these. Adds those other records to `known`."""
    named = {line.patient_id for line in lines}
    kept, said = [], []
    for line in lines:
        into = known[line.patient_id].merged_into if line.patient_id in known else None
        if into is None:
            kept.append(line)
            continue
        taken = into.patient_id not in named
        said.append(
            {
                "line": line.number,
                "patient_id": line.patient_id,
                "into": into.patient_id,
                "taken": taken,
            }
        )
        if taken:
            known[into.patient_id] = into
            named.add(into.patient_id)
            line.patient_id = into.patient_id
            kept.append(line)
    return kept, said


def _without_id(
    clinic: Clinic, lines: list[PatientLine], owner_of: dict[int, str]
) -> tuple[dict[str, Patient], list[Problem]]:
    """Sets the id of lines that have none and whose animal is already known by its owner."""
    nameless = [line for line in lines if not line.patient_id and line.number in owner_of]
    by_owner: dict[tuple[str, str, str], list[Patient]] = {}
    patients = Patient.objects.filter(clinic=clinic, merged_into=None).select_related("owner")
    for patient in bulk.find(patients, "owner__owner_id", (owner_of[li.number] for li in nameless)):
        owner_id = patient.owner.owner_id if patient.owner else ""
        key = (owner_id, patient.name.casefold(), str(patient.species))
        by_owner.setdefault(key, []).append(patient)
    found: dict[str, Patient] = {}
    problems = []
    for line in nameless:
        name, species = line.patient.get("name", ""), str(line.patient.get("species", ""))
        same = by_owner.get((owner_of[line.number], name.casefold(), species), [])
        if len(same) == 1:
            line.patient_id = same[0].patient_id
            found[line.patient_id] = same[0]
        elif same:
            ids = ", ".join(patient.patient_id for patient in same)
            what = f"the owner has several animals called {name} ({ids}); give its patient_id."
            problems.append(Problem(line.number, what))
    return found, problems


def _write_patients(
    clinic: Clinic,
    lines: list[PatientLine],
    known: dict[str, Patient],
    form_key: UUID | None,
) -> tuple[dict[str, Any], list[int]]:
    """Adds what is new to `known`. The first that is new has the form's key. Returns with the
    report whose species was another one."""
    given, fresh, created = [], [], 0
    corrected: list[int] = []
    for line in lines:
        if not line.patient_id:
            line.patient_id = new_patient_id()
            given.append({"line": line.number, "patient_id": line.patient_id})
        stored = known.get(line.patient_id)
        created += stored is None
        if stored is None or _differs(stored, line.patient):
            before = {name: getattr(stored, name) for name in PATIENT_COLUMNS} if stored else {}
            patient = Patient(clinic=clinic, patient_id=line.patient_id, **(before | line.patient))
            if stored is None and created == 1:
                patient.form_key = form_key
            if stored is not None and stored.species != patient.species:
                corrected.append(stored.pk)
            fresh.append(patient)
            known[line.patient_id] = patient
    bulk.upsert(fresh, unique=["clinic", "patient_id"], columns=_fields(PATIENT_COLUMNS))
    report = {
        "created": created,
        "updated": len(fresh) - created,
        "unchanged": len(lines) - len(fresh),
        "given": given,
    }
    return report, corrected


def _fields(columns: Sequence[str]) -> list[str]:
    return ["owner" if column == "owner_id" else column for column in columns]


def _differs(stored: Patient, said: dict[str, Any]) -> bool:
    return any(getattr(stored, column) != value for column, value in said.items())


def _write_weights(clinic: Clinic, lines: list[PatientLine], known: dict[str, Patient]) -> int:
    weighed = [(known[line.patient_id], line.weight_kg) for line in lines if line.weight_kg]
    latest: dict[int, Weight] = {}
    for weight in bulk.find(Weight.objects.all(), "patient", (p.pk for p, _ in weighed)):
        latest.setdefault(weight.patient_id, weight)
    day = today(clinic)
    new = [
        Weight(patient=patient, kg=kg, measured_on=day)
        for patient, kg in weighed
        if patient.pk not in latest or latest[patient.pk].kg != kg
    ]
    Weight.objects.bulk_create(new, batch_size=bulk.BATCH)
    return len(new)


def import_visits(*, acting_user: User | None, clinic: Clinic, content: bytes) -> dict[str, Any]:
    """Upsert visits by patient and time; an empty doctor leaves what is stored. A visit of a record
    that was merged away is one of the record that it was merged into. Returns `created`, `updated`
    and `unchanged`. Idempotent. Raises ImportRefused, NotAllowed."""
    roles.require(acting_user, clinic, "edit_patient")
    lines, problems = csv_visits.read(content, clinic.zone)
    with transaction.atomic():
        # Nobody merges records away while it runs.
        Clinic.objects.select_for_update(no_key=True).get(pk=clinic.pk)
        patients = {
            patient.patient_id: patient
            for patient in bulk.find(
                Patient.objects.filter(clinic=clinic).select_related("merged_into"),
                "patient_id",
                (li.patient_id for li in lines),
            )
        }
        seen: dict[tuple[str, Any], int] = {}
        for line in lines:
            if line.patient_id not in patients:
                what = f"there is no patient {line.patient_id}; import the patients first."
                problems.append(Problem(line.number, what))
            earlier = seen.setdefault((line.patient_id, line.at), line.number)
            if earlier != line.number:
                problems.append(Problem(line.number, f"the same visit is on line {earlier}."))
        if problems:
            raise ImportRefused(problems)
        patients = {patient_id: patient.now for patient_id, patient in patients.items()}
        stored = {
            (visit.patient_id, visit.at): visit.doctor
            for visit in bulk.find(
                Visit.objects.all(), "patient", (patient.pk for patient in patients.values())
            )
        }
        fresh = []
        created = 0
        once: set[tuple[int, Any]] = set()
        for line in lines:
            patient = patients[line.patient_id]
            if (patient.pk, line.at) in once:
                continue  # said of both records that were merged
            once.add((patient.pk, line.at))
            doctor = stored.get((patient.pk, line.at))
            created += doctor is None
            if doctor is None or (line.doctor and line.doctor != doctor):
                visit = Visit(clinic=clinic, patient=patient, at=line.at, doctor=line.doctor)
                fresh.append(visit)
        bulk.upsert(fresh, unique=["patient", "at"], columns=["doctor"])
        record(
            "visits.imported",
            clinic=clinic,
            acting_user=acting_user,
            source="command",
            created=created,
        )
    return {
        "created": created,
        "updated": len(fresh) - created,
        "unchanged": len(lines) - len(fresh),
    }
