"""Lines of a visits' file as plain data. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from labs.models import Visit
from labs.services.registry import csv_cells as cells
from labs.services.registry.csv_file import Problem, read_table

COLUMNS = ("patient_id", "at", "doctor")
REQUIRED = ("patient_id", "at")
DOCTOR_LENGTH = Visit._meta.get_field("doctor").max_length


@dataclass(frozen=True)
class VisitLine:
    number: int
    patient_id: str
    at: datetime
    doctor: str


def read(content: bytes, zone: ZoneInfo) -> tuple[list[VisitLine], list[Problem]]:
    """All lines that can be read, and what is wrong with the others; a time without a zone is in
    `zone`. Raises ImportRefused where the file is no such table at all."""
    table = read_table(content, COLUMNS, REQUIRED)
    problems = list(table.problems)
    lines: list[VisitLine] = []
    for line in table.lines:
        wrong = [f"{column} is empty." for column in REQUIRED if not line[column]]
        if len(line["doctor"]) > (DOCTOR_LENGTH or 0):
            wrong.append(f"doctor is longer than {DOCTOR_LENGTH} characters.")
        if not wrong:
            try:
                at = cells.read_moment(line["at"])
            except cells.BadCell as bad:
                wrong.append(str(bad))
            else:
                at = at if at.tzinfo else at.replace(tzinfo=zone)
                lines.append(VisitLine(line.number, line["patient_id"], at, line["doctor"]))
        problems += [Problem(line.number, what) for what in wrong]
    return lines, problems
