"""All the ways to find animals of a clinic by its indexes, in one statement."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from django.db import connection

from labs.matching.sides import NEAR_IN_TIME
from labs.models import Patient, Visit

# How many of one search's animals are looked at: the latest seen first.
HERE = 300
PATIENTS, VISITS = Patient._meta.db_table, Visit._meta.db_table


class Search:
    """One statement of all the ways to find an animal; each alone is one range of an index. By
    hand, because composing seven of them takes longer than running them. What it gives are keys
    alone, so no value needs to be read the one database's way or the other's."""

    def __init__(self, clinic_id: int) -> None:
        self.clinic_id = clinic_id
        self.parts: list[str] = []
        self.values: list[Any] = []

    def add(self, **columns: Iterable[str]) -> None:
        """Animals whose columns each have one of the values."""
        if found := self._where(columns):
            self.parts.append(f"SELECT id FROM {PATIENTS} WHERE {found}")  # noqa: S608 - ours

    def latest(self, most: int, *, since: datetime | None = None, **columns: Sequence[str]) -> None:
        """So many of them, those first who were here last; `since`: only those here since."""
        if found := self._where(columns):
            if since is not None:
                found += " AND latest_visit >= %s"
                self.values.append(connection.ops.adapt_datetimefield_value(since))
            self.parts.append(
                f"SELECT id FROM (SELECT id FROM {PATIENTS} WHERE {found} "  # noqa: S608
                f"ORDER BY latest_visit DESC NULLS LAST LIMIT {most}) AS latest"
            )

    def visitors(self, at: datetime) -> None:
        """Those who were here within a day, the last before the run first."""
        adapt = connection.ops.adapt_datetimefield_value
        self.values += [self.clinic_id, adapt(at - NEAR_IN_TIME), adapt(at + NEAR_IN_TIME)]
        self.parts.append(
            f"SELECT patient_id FROM (SELECT patient_id FROM {VISITS} "  # noqa: S608
            "WHERE clinic_id = %s AND at BETWEEN %s AND %s "
            f"ORDER BY at DESC LIMIT {HERE}) AS here"
        )

    def pks(self) -> list[int]:
        if not self.parts:
            return []
        with connection.cursor() as cursor:
            cursor.execute(" UNION ".join(self.parts), self.values)
            return [row[0] for row in cursor.fetchall()]

    def _where(self, columns: Mapping[str, Iterable[str]]) -> str:
        """Empty where there is nothing to look for."""
        given = {name: list(values) for name, values in columns.items()}
        if not all(given.values()):
            return ""
        found = ["clinic_id = %s"]
        self.values.append(self.clinic_id)
        for name, values in given.items():
            found.append(f"{name} IN ({', '.join(['%s'] * len(values))})")
            self.values += values
        return " AND ".join(found)
