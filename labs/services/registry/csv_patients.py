"""Lines of a patients' file as plain data. Pure but for today's date, which the caller gives."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any

from labs.models import Owner, Patient, Sex, Species
from labs.services.registry import csv_cells as cells
from labs.services.registry.csv_file import Line, Problem, Table, read_table

COLUMNS = [
    "patient_id",
    "name",
    "species",
    "breed",
    "sex",
    "neutered",
    "birth_date",
    "weight_kg",
    "microchip",
    "deceased",
    "owner_id",
    "owner_first_name",
    "owner_last_name",
    "owner_phone",
    "owner_email",
]
REQUIRED = ("name", "species")
OWNER_COLUMNS = ("owner_first_name", "owner_last_name", "owner_phone", "owner_email")


@dataclass
class PatientLine:
    """`patient` and `owner` hold only columns that the line says something of, under the model's
    names. `owner` is None where it names none."""

    number: int
    patient_id: str
    patient: dict[str, Any] = field(default_factory=dict)
    weight_kg: Decimal | None = None
    owner_id: str = ""
    owner: dict[str, str] | None = None

    @property
    def label(self) -> str:
        return str(self.patient.get("name") or self.patient_id)


def read(content: bytes, today: date) -> tuple[list[PatientLine], list[Problem]]:
    """All lines that can be read, and what is wrong with the others. Raises ImportRefused where the
    file is no such table at all."""
    table: Table = read_table(content, COLUMNS, REQUIRED)
    lines: list[PatientLine] = []
    problems = list(table.problems)
    for line in table.lines:
        read_line, wrong = _read_line(line, today)
        lines.append(read_line)
        problems += [Problem(line.number, what) for what in wrong]
    problems += _twice(lines)
    problems += _two_owners(lines)
    return lines, problems


def _read_line(line: Line, today: date) -> tuple[PatientLine, list[str]]:
    wrong = list(_too_long(line))
    patient: dict[str, Any] = {}

    def take(column: str, reader: Callable[[str], Any]) -> Any:
        try:
            return reader(line[column]) if line[column] else None
        except cells.BadCell as bad:
            wrong.append(str(bad))
            return None

    for column in REQUIRED:
        if not line[column]:
            wrong.append(f"{column} is empty.")
    patient |= {column: line[column] for column in ("name", "breed") if line[column]}
    species = take("species", cells.read_species)
    if species is not None:
        patient["species"] = species
    if species == Species.OTHER and line["species"].lower() != Species.OTHER:
        patient.setdefault("breed", line["species"].capitalize())  # “rabbit” must not be lost
    if birth := take("birth_date", lambda text: cells.read_birth_date(text, today)):
        patient["birth_date"], patient["birth_date_estimated"] = birth
    if chip := take("microchip", cells.read_microchip):
        patient["microchip"] = chip
    if deceased := take("deceased", lambda text: cells.read_deceased(text, today)):
        patient["deceased"], patient["deceased_on"] = deceased
    sex = take("sex", cells.read_sex)
    neutered = take("neutered", lambda text: cells.read_yes_no(text, "neutered"))
    wrong += _set_sex(patient, sex, neutered)
    take("owner_email", cells.read_email)
    read_line = PatientLine(
        number=line.number,
        patient_id=line["patient_id"],
        patient=patient,
        weight_kg=take("weight_kg", cells.read_weight),
        owner_id=line["owner_id"],
        owner=_owner(line),
    )
    return read_line, wrong


def _set_sex(
    patient: dict[str, Any], sex: tuple[Sex, bool | None] | None, neutered: bool | None
) -> list[str]:
    by_words = None
    if sex is not None:
        patient["sex"], by_words = sex
    if by_words is not None and neutered is not None and by_words != neutered:
        return ["sex and neutered contradict each other."]
    said = by_words if neutered is None else neutered
    if said is not None:
        patient["neutered"] = said
    return []


def _owner(line: Line) -> dict[str, str] | None:
    given = {name.removeprefix("owner_"): line[name] for name in OWNER_COLUMNS if line[name]}
    return given if given or line["owner_id"] else None


def _lengths() -> Iterator[tuple[str, int]]:
    for column in ("patient_id", "name", "breed"):
        yield column, getattr(Patient._meta.get_field(column), "max_length", None) or 0
    for column in ("owner_id", *OWNER_COLUMNS):
        name = column if column == "owner_id" else column.removeprefix("owner_")
        yield column, getattr(Owner._meta.get_field(name), "max_length", None) or 0


LENGTHS = dict(_lengths())


def _too_long(line: Line) -> Iterator[str]:
    for column, limit in LENGTHS.items():
        if len(line[column]) > limit:
            yield f"{column} is longer than {limit} characters."


def _twice(lines: list[PatientLine]) -> Iterator[Problem]:
    first: dict[str, int] = {}
    for line in lines:
        if line.patient_id and line.patient_id in first:
            what = f"patient_id {line.patient_id} is also on line {first[line.patient_id]}."
            yield Problem(line.number, what)
        first.setdefault(line.patient_id, line.number)


def _two_owners(lines: list[PatientLine]) -> Iterator[Problem]:
    """One owner's id with two names, telephones or addresses: which is right, nobody can say."""
    said: dict[tuple[str, str], tuple[str, int]] = {}
    for line in lines:
        for column, text in (line.owner or {}).items() if line.owner_id else ():
            earlier, number = said.setdefault((line.owner_id, column), (text, line.number))
            if earlier != text:
                what = (
                    f"owner {line.owner_id} has another {column.replace('_', ' ')} here than on "
                    f"line {number}."
                )
                yield Problem(line.number, what)
