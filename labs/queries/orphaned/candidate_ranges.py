"""All the ways to find animals of a clinic by its indexes, in one statement."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import Any

from django.db import connection

from labs.matching.sides import HOURS, NEAR_IN_TIME
from labs.models import LabRequest, Patient, Visit

# How many of one search's animals are looked at: the latest seen first.
HERE = 500
# An appointment of tomorrow is hardly whose sample was run today.
AFTER = 100
# So many of one name are looked through for those that fit.
AMONG = 3000
PATIENTS, VISITS = Patient._meta.db_table, Visit._meta.db_table
REQUESTS = LabRequest._meta.db_table


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

    def alike(
        self,
        most: int,
        *,
        names: Sequence[str],
        species: str = "",
        sex: str = "",
        born: tuple[date, date] | None = None,
    ) -> bool:
        """Of the first 3,000 of those names so many that nothing typed contradicts: the one Bella
        in a thousand who is a female dog of eleven is not among the 300 who were here last. Whether
        there was anything to look for."""
        if not (species or sex or born) or not (found := self._where({"name_key": names})):
            return False
        fits = []
        if species:
            fits.append("species = %s")
            self.values.append(species)
        if sex:
            fits.append("sex IN (%s, 'U')")
            self.values.append(sex)
        if born:
            fits.append("(birth_date IS NULL OR birth_date BETWEEN %s AND %s)")
            self.values += [connection.ops.adapt_datefield_value(day) for day in born]
        self.parts.append(
            "SELECT id FROM (SELECT id FROM (SELECT id, species, sex, birth_date "  # noqa: S608
            f"FROM {PATIENTS} WHERE {found} ORDER BY latest_visit DESC NULLS LAST LIMIT {AMONG}"
            f") AS named WHERE {' AND '.join(fits)} LIMIT {most}) AS alike"
        )
        return True

    def visitors(self, at: datetime) -> None:
        """Those who were here within a day: the last before the run, and the first after it."""
        adapt = connection.ops.adapt_datetimefield_value
        for since, until, order, most in (
            (at - NEAR_IN_TIME, at, "DESC", HERE),
            (at, at + NEAR_IN_TIME, "ASC", AFTER),
        ):
            self.values += [self.clinic_id, adapt(since), adapt(until)]
            self.parts.append(
                f"SELECT patient_id FROM (SELECT patient_id FROM {VISITS} "  # noqa: S608
                "WHERE clinic_id = %s AND at BETWEEN %s AND %s "
                f"ORDER BY at {order} LIMIT {most}) AS here"
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


def how_many_here(clinic_id: int, at: datetime) -> tuple[int, int, int]:
    """Visits within hours of the run, and within a day; and requests within a day. One statement,
    by hand like the others."""
    adapt = connection.ops.adapt_datetimefield_value
    hours = [adapt(at - HOURS), adapt(at + HOURS)]
    day = [adapt(at - NEAR_IN_TIME), adapt(at + NEAR_IN_TIME)]
    visits = f"SELECT COUNT(*) FROM {VISITS} WHERE clinic_id = %s AND at BETWEEN %s AND %s"  # noqa: S608
    requests = (
        f"SELECT COUNT(*) FROM {REQUESTS} "  # noqa: S608 - ours
        "WHERE clinic_id = %s AND requested_at BETWEEN %s AND %s AND NOT retrospective"
    )
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT ({visits}), ({visits}), ({requests})",
            [clinic_id, *hours, clinic_id, *day, clinic_id, *day],
        )
        found: tuple[int, int, int] = cursor.fetchone()
    return found
