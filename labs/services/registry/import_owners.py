"""Which owner each line of a patients' file means, and writing those that are new or changed."""

from __future__ import annotations

from collections.abc import Iterable

from labs.models import Clinic, Owner, Patient
from labs.services import bulk
from labs.services.registry.csv_file import Problem
from labs.services.registry.csv_patients import PatientLine
from labs.services.registry.patients import new_owner_id

COLUMNS = ("first_name", "last_name", "phone", "email")


class Owners:
    """The owners that a file speaks of, by the practice's own id: as stored, and as wanted."""

    def __init__(self, clinic: Clinic, lines: Iterable[PatientLine]) -> None:
        self.clinic = clinic
        self.stored: dict[str, Owner] = {}
        self.wanted: dict[str, dict[str, str]] = {}
        self.by_name: dict[tuple[str, str], list[str]] = {}
        rows = Owner.objects.filter(clinic=clinic)
        given = [line for line in lines if line.owner is not None]
        self._keep(bulk.find(rows, "owner_id", (li.owner_id for li in given if li.owner_id)))
        names = (li.owner["last_name"] for li in given if li.owner and "last_name" in li.owner)
        self._keep(bulk.find(rows, "last_name", names))

    def _keep(self, owners: Iterable[Owner]) -> None:
        for owner in owners:
            self.stored[owner.owner_id] = owner
            self.want(owner.owner_id, {column: getattr(owner, column) for column in COLUMNS})

    def want(self, owner_id: str, said: dict[str, str]) -> None:
        self.wanted.setdefault(owner_id, {}).update(said)
        ids = self.by_name.setdefault(_name(self.wanted[owner_id]), [])
        if owner_id not in ids:
            ids.append(owner_id)

    def resolve(self, line: PatientLine, patient: Patient | None) -> str | Problem:
        """The id of the line's owner: by the practice's own id; without one, the owner that the
        patient has already, else the one person of that name who contradicts nothing, else new."""
        said = line.owner or {}
        if line.owner_id:
            return line.owner_id
        if patient is not None and patient.owner is not None:
            self._keep([patient.owner] if patient.owner.owner_id not in self.wanted else [])
            if _agree(self.wanted[patient.owner.owner_id], said):
                return patient.owner.owner_id
        if not said.get("last_name"):
            return new_owner_id()
        named = self.by_name.get(_name(said), [])
        same = [owner_id for owner_id in named if _agree(self.wanted[owner_id], said)]
        if len(same) > 1:
            name = f"{said.get('first_name', '')} {said['last_name']}".strip()
            what = f"several owners are called {name} ({', '.join(same)}); give owner_id."
            return Problem(line.number, what)
        return same[0] if same else new_owner_id()

    def write(self) -> None:
        """Afterwards every owner is stored."""
        fresh = [
            Owner(clinic=self.clinic, owner_id=owner_id, **said)
            for owner_id, said in self.wanted.items()
            if owner_id not in self.stored or _changed(self.stored[owner_id], said)
        ]
        bulk.upsert(fresh, unique=["clinic", "owner_id"], columns=COLUMNS)
        self.stored |= {owner.owner_id: owner for owner in fresh}


def _changed(owner: Owner, said: dict[str, str]) -> bool:
    """Who had their data erased stays so, also where the practice's file still has it."""
    return owner.erased_at is None and any(
        getattr(owner, column) != text for column, text in said.items()
    )


def resolve_owners(
    clinic: Clinic, lines: list[PatientLine], patients: dict[str, Patient]
) -> tuple[Owners, dict[int, str], list[Problem]]:
    """The owners, the id of each line's owner by line number, and what is wrong. Writes nothing."""
    owners = Owners(clinic, lines)
    by_line: dict[int, str] = {}
    problems = []
    for line in lines:
        if line.owner is None:
            continue
        found = owners.resolve(line, patients.get(line.patient_id))
        if isinstance(found, Problem):
            problems.append(found)
            continue
        by_line[line.number] = found
        owners.want(found, line.owner)
    return owners, by_line, problems


def _name(said: dict[str, str]) -> tuple[str, str]:
    return said.get("last_name", ""), said.get("first_name", "")


def _agree(known: dict[str, str], said: dict[str, str]) -> bool:
    """Whether nothing that both say differs."""
    return all(not known.get(column) or known[column] == text for column, text in said.items())
