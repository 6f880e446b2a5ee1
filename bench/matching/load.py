"""The made-up clinic into the database: as an import would leave it, in a fraction of the time.

A million animals by the ORM took longer than half an hour, most of it in indexes that were kept in
order all the while and in names that were counted row by row. Here rows go in as tuples, by COPY or
`executemany`; indexes are made when the rows are there, and names counted by one statement. That it
is the same in the end a test looks at (tests/bench/test_load.py).
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import islice
from typing import Any
from uuid import UUID

from django.core.management.color import no_style
from django.db import connection, models, transaction
from django.db.models import Count

from bench.matching.registry import Animal
from bench.matching.registry import Clinic as Made
from labs.keys import chip_key, plain, stored_id
from labs.models import (
    Clinic,
    LabRequest,
    NameCount,
    Owner,
    Panel,
    Patient,
    RequestedTest,
    RequestState,
    Visit,
    Vocabulary,
    Weight,
)
from labs.models.vocabulary import Kind

BATCH = 10_000
Row = Sequence[Any]


def load(made: Made, *, visits: bool) -> Clinic:
    """Into a database that holds no clinic. Each animal's number is its patient's key."""
    animals = [animal for animal in made.animals if not animal.held_out]
    came = _visits(made) if visits else []
    latest: dict[int, datetime] = {}
    for animal, at, _ in came:
        latest[animal.number] = max(at, latest.get(animal.number, at))
    with _quickly(Owner, Patient, Weight, Visit):
        clinic = Clinic.objects.create(name="Benchmark Clinic")
        _insert(Owner, _owners(clinic, animals))
        _insert(Patient, _patients(clinic, animals, made.day, latest))
        _insert(
            Weight,
            (
                {
                    "patient_id": animal.number,
                    "kg": Decimal(str(animal.kg)),
                    "measured_on": made.day.date(),
                }
                for animal in animals
            ),
        )
        _insert(
            Visit,
            (
                {
                    "clinic_id": clinic.pk,
                    "patient_id": animal.number,
                    "at": at,
                    "doctor": f"Dr {doctor}",
                }
                for animal, at, doctor in came
            ),
        )
    _count_names(clinic)
    if visits:
        _request(made, clinic)
    with connection.cursor() as cursor:
        for statement in connection.ops.sequence_reset_sql(no_style(), [Owner, Patient]):
            cursor.execute(statement)
    return clinic


def _owners(clinic: Clinic, animals: Iterable[Animal]) -> Iterator[dict[str, Any]]:
    last = 0
    for animal in animals:
        owner = animal.owner
        if owner.number > last:
            last = owner.number
            yield {
                "id": owner.number,
                "clinic_id": clinic.pk,
                "uuid": UUID(int=owner.number),
                "owner_id": f"C-{owner.number}",
                "first_name": "",
                "last_name": owner.surname[:100],
                "phone": "",
                "email": "",
                "first_key": "",
                "phone_key": "",
                "phone_end": "",
            }


def _patients(
    clinic: Clinic, animals: Iterable[Animal], day: datetime, latest: dict[int, datetime]
) -> Iterator[dict[str, Any]]:
    for animal in animals:
        yield {
            "id": animal.number,
            "clinic_id": clinic.pk,
            "uuid": UUID(int=animal.number),
            "owner_id": animal.owner.number,
            "patient_id": animal.patient_id,
            "name": animal.name[:100],
            "species": animal.species,
            "breed": animal.breed,
            "sex": animal.sex,
            "birth_date": animal.born,
            "birth_date_estimated": False,
            "microchip": animal.chip,
            "deceased": animal.deceased is not None,
            "deceased_on": animal.deceased,
            "is_test": False,
            "created_at": day,
            "name_key": plain(animal.name[:100])[:200],
            "surname_key": plain(animal.owner.surname[:100])[:200],
            "id_key": stored_id(animal.patient_id)[:64],
            "chip_key": chip_key(animal.chip)[:32],
            "latest_visit": latest.get(animal.number),
        }


def _visits(made: Made) -> list[tuple[Animal, datetime, str]]:
    came = [(animal, animal.seen or made.day, animal.doctor) for animal in made.here]
    came += [
        (animal, at, made.doctors[animal.number % len(made.doctors)])
        for animal, at in (*made.around, *made.staged_here)
    ]
    return [each for each in came if not each[0].held_out]


def _request(made: Made, clinic: Clinic) -> None:
    panel = Panel.objects.get(code="HHEM-1")
    for animal in made.here:
        if animal.requested and not animal.held_out:
            request = LabRequest.objects.create(
                clinic=clinic,
                patient_id=animal.number,
                state=RequestState.ACCEPTED,
                requested_at=(animal.seen or made.day) + timedelta(minutes=5),
                doctor=f"Dr {animal.doctor}",
            )
            RequestedTest.objects.create(
                request=request, panel=panel, position=1, test_request_id=f"{request}-1"
            )


def _count_names(clinic: Clinic) -> None:
    """As labs/models/vocabulary.py would have, one statement for each kind."""
    version = time.time_ns()
    Vocabulary.objects.create(clinic=clinic, version=version)
    columns = ((Kind.NAME, "name_key"), (Kind.SURNAME, "surname_key"), (Kind.SPECIES, "species"))
    with connection.cursor() as cursor:
        for kind, column in columns:
            cursor.execute(
                f"INSERT INTO {NameCount._meta.db_table} "
                "(clinic_id, kind, key, count, version) "
                f"SELECT clinic_id, %s, {column}, COUNT(*), %s FROM {Patient._meta.db_table} "
                f"WHERE {column} <> '' GROUP BY clinic_id, {column}",
                [kind.value, version],
            )
    breeds: dict[str, int] = {}
    rows = Patient.objects.filter(clinic=clinic).order_by().values_list("breed")
    for breed, count in rows.annotate(Count("pk")):
        if key := plain(breed):
            breeds[key] = breeds.get(key, 0) + count
    NameCount.objects.bulk_create(
        NameCount(clinic=clinic, kind=Kind.BREED, key=key, count=count, version=version)
        for key, count in breeds.items()
    )


def _insert(model: type[models.Model], rows: Iterable[dict[str, Any]]) -> None:
    """A transaction for each batch: PostgreSQL keeps in mind until its end what it has still to
    look at for each row."""
    left = iter(rows)
    while some := list(islice(left, BATCH)):
        columns = list(some[0])
        names = ", ".join(connection.ops.quote_name(name) for name in columns)
        lines = [list(row.values()) for row in some]
        table = connection.ops.quote_name(model._meta.db_table)
        with transaction.atomic(), connection.cursor() as cursor:
            if connection.vendor == "postgresql":
                with cursor.copy(f"COPY {table} ({names}) FROM STDIN") as copy:
                    for line in lines:
                        copy.write_row(line)
                continue
            by_name = {field.attname: field for field in model._meta.concrete_fields}
            for place, name in enumerate(columns):
                if isinstance(by_name[name], (*AS_TEXT, models.DecimalField)):
                    adapt = by_name[name].get_db_prep_value
                    for line in lines:
                        line[place] = adapt(line[place], connection)
            marks = ", ".join(["%s"] * len(columns))
            cursor.executemany(
                f"INSERT INTO {table} ({names}) VALUES ({marks})",
                lines,
            )


# What SQLite has no type of its own for.
AS_TEXT = (models.UUIDField, models.DateField)


@contextmanager
def _quickly(*loaded: type[models.Model]) -> Iterator[None]:
    """Without the tables' indexes, which are made anew at the end, all rows at once. A constraint's
    index stays. On SQLite without waiting for the disk either: what is lost is made again."""
    tables = [model._meta.db_table for model in loaded]
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            cursor.execute("PRAGMA synchronous = OFF")
            cursor.execute("PRAGMA cache_size = -200000")
            listed = (
                "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL "
                f"AND tbl_name IN ({', '.join(['%s'] * len(tables))})"
            )
            cursor.execute(listed, tables)
        else:
            listed = (
                "SELECT indexname, indexdef FROM pg_indexes WHERE tablename = ANY(%s) "
                "AND schemaname = current_schema() "
                "AND indexname NOT IN (SELECT conname FROM pg_constraint)"
            )
            cursor.execute(listed, [tables])
        indexes = cursor.fetchall()
        for name, _ in indexes:
            cursor.execute(f"DROP INDEX {connection.ops.quote_name(name)}")
        yield
        for _, sql in indexes:
            cursor.execute(sql)
