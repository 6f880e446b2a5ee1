"""The floor under the way in is only one while it writes what the way in writes."""

from __future__ import annotations

import json

import pytest
from django.db import connection

from bench.intake import bodies, contract, seed
from integrations.heska.services import filing
from labs.models import Clinic, LabRequest, RequestedTest
from labs.services.intake import journal

NUMBER = "0" * 10
WRITTEN = ("message", "testrun", "labresult", "observation", "alarm", "labevent")


def rows(schema):
    """How many rows each table that a result is written to has."""
    counts = " UNION ALL ".join(
        f"SELECT '{table}', count(*) FROM {schema}.labs_{table}" for table in WRITTEN
    )
    with connection.cursor() as cursor:
        cursor.execute(counts)
        return dict(cursor.fetchall())


@pytest.mark.skipif(connection.vendor != "postgresql", reason="The benchmark is PostgreSQL's own")
@pytest.mark.django_db
def test_the_floor_writes_as_many_rows_as_the_project_and_ends_in_its_state():
    seed.clinics()
    seed.requests(range(1))
    clinic, request = Clinic.objects.get(public_id=bodies.clinic_id(0)), LabRequest.objects.get()
    raw = bodies.message("new").replace(bodies.NUMBER.encode(), NUMBER.encode())
    target = bodies.path("new", 0).replace(bodies.NUMBER, NUMBER)
    bare = connection.connection
    contract.prepare(bare)
    bare.execute(contract.STOCK)
    bare.execute("SET LOCAL search_path = public")
    before = rows("public")
    message, _ = journal.receive(
        vendor="heska", clinic=clinic, sender="bench", target=target, headers={}, raw=raw
    )
    assert [receipt.status for receipt in filing.file_stored(message)] == ["Stored"]
    written = {table: count - before[table] for table, count in rows("public").items()}

    bare.execute("SET LOCAL search_path = contract, public")
    stored = [clinic.pk, "r", "bench", target, "{}", raw, "s", "d"]
    pk = contract._only(bare.execute(contract.MESSAGE, stored))
    contract._file(bare, clinic.pk, pk, request.result_key, json.loads(raw))
    floor = rows("contract")
    assert state() == ("complete", "complete")
    bare.execute("SET LOCAL search_path = public")
    assert state() == ("complete", "complete")
    assert written == floor
    assert floor["observation"] == 40


def state():
    return LabRequest.objects.get().state, RequestedTest.objects.get().state
