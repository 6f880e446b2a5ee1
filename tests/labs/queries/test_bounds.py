"""Pages that look back read a bounded range of an index, however long a clinic's past is.

PostgreSQL says what it read. By default with 20,000 requests; FULL=1 for 200,000.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, models
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from labs.models import (
    Clinic,
    LabEvent,
    LabRequest,
    MatchDecision,
    Patient,
    TestRun,
    UnmatchedResult,
)
from labs.queries.orders import codes, ordering, request_page
from labs.queries.orphaned import candidate_search, quality, refused
from labs.queries.overview import reconciliation, worklist_filters
from labs.queries.records import audit
from labs.services.orphaned import matching
from tests import factories

pytestmark = pytest.mark.django_db
MANY = 200_000 if os.environ.get("FULL") else 20_000


def test_patients_are_proposed_by_the_newest_orders_and_no_dead_one_takes_a_place() -> None:
    clinic = factories.make_clinic()
    rows = Patient.objects.filter(clinic=clinic)
    animals = [factories.make_patient(clinic, name=name) for name in ("Rex", "Luna", "Tom", "Kim")]
    for age, animal in ((4, "Rex"), (3, "Luna"), (2, "Tom"), (1, "Kim"), (0, "Luna")):
        request = factories.make_request(next(a for a in animals if a.name == animal))
        at = timezone.now() - timedelta(hours=age)
        LabRequest.objects.filter(pk=request.pk).update(requested_at=at)
    rows.filter(name="Kim").update(deceased=True)
    found = ordering.recent_patients(clinic, rows, 2)
    assert [animal.name for animal in found] == ["Luna", "Tom"]


def test_doctors_of_the_newest_requests_are_offered(monkeypatch: pytest.MonkeyPatch) -> None:
    clinic = factories.make_clinic()
    animal = factories.make_patient(clinic)
    for age, doctor in ((100, "Long gone"), (3, "Adams"), (2, ""), (1, "Brown")):
        request = factories.make_request(animal)
        at = timezone.now() - timedelta(days=age)
        LabRequest.objects.filter(pk=request.pk).update(requested_at=at, doctor=doctor)
    chosen = worklist_filters.Filters(doctor="Chosen")
    assert worklist_filters.choices(clinic, chosen).doctors == ["Adams", "Brown", "Chosen"]
    monkeypatch.setattr(worklist_filters, "ASKED", 2)
    assert worklist_filters.choices(clinic, chosen).doctors == ["Brown", "Chosen"]


def test_words_of_the_animals_that_were_here_last(monkeypatch: pytest.MonkeyPatch) -> None:
    clinic = factories.make_clinic()
    for breed, days in (("Newest", 1), ("Older", 2), ("Never here", None)):
        animal = factories.make_patient(clinic, breed=breed)
        at = None if days is None else timezone.now() - timedelta(days=days)
        added = timezone.now() - timedelta(days=3)
        Patient.objects.filter(pk=animal.pk).update(latest_visit=at, created_at=added)
    every = codes.codes_page(clinic)
    assert len(every.breeds) == 3
    assert every.latest == 0
    monkeypatch.setattr(codes, "LOOKED_AT", 2)
    page = codes.codes_page(clinic)
    assert {word.sent.word for word in page.breeds} == {"Newest", "Older"}
    assert page.latest == 2


def copies(row: models.Model, many: int, **columns: str) -> None:
    """So many rows like that one; `columns`: what differs, in SQL, by `n` from 1."""
    table = row._meta.db_table
    names = [field.column for field in row._meta.concrete_fields if not field.primary_key]
    values = [columns.get(name, f"{table}.{name}") for name in names]
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {table} ({', '.join(names)}) SELECT {', '.join(values)} "
            f"FROM {table}, generate_series(1, {many}) AS n WHERE {table}.id = {row.pk}"
        )


@pytest.fixture
def past() -> dict[str, tuple[Clinic, UnmatchedResult]]:
    """A clinic of many years and a small one beside it."""
    if connection.vendor != "postgresql":
        pytest.skip("what a statement reads is asked of PostgreSQL")
    found = {}
    with connection.cursor() as cursor:
        # Rows in their hundred thousands take longer than a page may; and what they refer to is
        # known to be there.
        cursor.execute("SET LOCAL statement_timeout = 0")
        cursor.execute("SET LOCAL session_replication_role = replica")
    for name, many in (("large", MANY), ("small", 20)):
        clinic = factories.make_clinic(name)
        vet = factories.make_staff("vet", clinic=clinic)
        animal = factories.make_patient(clinic)
        request = factories.make_request(animal, acting_user=vet)
        orphan = factories.make_unmatched(clinic)
        matching.match(
            acting_user=vet, unmatched=orphan, patient=animal, expected_version=orphan.version
        )
        orphan.refresh_from_db()
        waits = factories.make_unmatched(clinic)
        decision = MatchDecision.objects.get(unmatched=orphan, active=True)
        copies(
            animal,
            many,
            uuid="gen_random_uuid()",
            patient_id=f"'{name}' || n",
            id_key=f"'{name}' || n",
            breed="'Breed ' || n % 50",
            latest_visit="now() - n * interval '1 hour'",
            form_key="NULL",
        )
        copies(
            request,
            many,
            lab_report_id=f"'{name}' || n",
            result_key=f"'{name}' || n",
            form_key="NULL",
            requested_at="now() - n * interval '30 seconds'",
            reviewed_at="now() - n * interval '30 seconds'",
            state="'complete'",
            doctor="'Doctor ' || n % 7",
            patient_id=f"{animal.pk} + n % 1000",
        )
        before = orphan.pk + 1  # and the one that waits
        copies(
            orphan,
            many,
            uuid="gen_random_uuid()",
            external_id=f"'{name}' || n",
            message_id=f"'{name}' || n",
        )
        copies(decision, many, unmatched_id=f"{before} + n")
        run = TestRun.objects.get(unmatched=orphan)
        copies(run, many, unmatched_id=f"{before} + n", review_state="'reviewed'")
        placed = LabEvent.objects.filter(request=request).earliest("pk")
        copies(placed, many, at="now() - n * interval '30 seconds'")
        found[name] = (clinic, waits)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
        cursor.execute("SET LOCAL session_replication_role = DEFAULT")
    return found


def scans(plan: dict[str, Any]) -> Iterator[tuple[str, str, float]]:
    """Each table that a plan reads: how, its name, how many of its rows."""
    if "Relation Name" in plan:
        thrown = sum(plan.get(f"Rows Removed by {why}", 0) for why in ("Filter", "Index Recheck"))
        read = (plan["Actual Rows"] + thrown) * plan["Actual Loops"]
        yield plan["Node Type"], plan["Relation Name"], read
    for part in plan.get("Plans", ()):
        yield from scans(part)


def read_by(what: Callable[[], object]) -> tuple[float, list[str]]:
    """The most rows that one of its statements reads of one table, and each statement's plan."""
    with CaptureQueriesContext(connection) as captured:
        what()
    most, plans = 0.0, []
    for query in captured.captured_queries:
        with connection.cursor() as cursor:
            cursor.execute("EXPLAIN (ANALYZE, FORMAT JSON) " + query["sql"])
            answer = cursor.fetchone()[0]
        answer = json.loads(answer) if isinstance(answer, str) else answer
        for how, table, read in scans(answer[0]["Plan"]):
            most = max(most, read)
            took = answer[0]["Execution Time"]
            plans.append(f"{took:.1f} ms, {read:.0f} rows, {how} of {table}: {query['sql'][:200]}")
    return most, plans


def test_what_a_page_reads_is_bounded(
    past: dict[str, tuple[Clinic, UnmatchedResult]], monkeypatch: pytest.MonkeyPatch
) -> None:
    if MANY < 200_000:
        # In step with fewer rows: all of them would be told from a bounded range.
        monkeypatch.setattr(worklist_filters, "ASKED", 500)
        monkeypatch.setattr(codes, "LOOKED_AT", 500)
        # And a narrow table of 20,000 rows is read from end to end sooner than 300 of them by their
        # index, if a page of an index costs four others: from memory it costs as much as they do.
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL random_page_cost = 1")
    for size, (clinic, orphan) in past.items():
        for name, page in pages(clinic, orphan).items():
            most, plans = read_by(page)
            print(f"{size}, {name}", *plans, sep="\n")
            assert most <= MANY // 18, f"{size}, {name}:\n" + "\n".join(plans)


def pages(clinic: Clinic, orphan: UnmatchedResult) -> dict[str, Callable[[], object]]:
    animals = Patient.objects.filter(clinic=clinic)
    return {
        "search on every page": lambda: request_page.called(
            LabRequest.objects.filter(clinic=clinic), "Luna"
        ),
        "a patient's own id": lambda: audit.audit(clinic, audit.Sought(patient="p-77"), 1),
        "audit, a rare kind": lambda: audit.audit(clinic, audit.Sought(kind="screen"), 1),
        "quality-control runs": lambda: quality.controls(clinic),
        "choose a patient": lambda: ordering.recent_patients(clinic, animals, 8),
        "worklist": lambda: worklist_filters.choices(clinic, worklist_filters.Filters()),
        "matching, doctors' names": lambda: candidate_search._aliases(clinic.pk),
        "matching, taken back": lambda: refused.refused(orphan),
        "codes": lambda: codes.codes_page(clinic),
        "reconciliation": lambda: reconciliation.reconciliation(clinic),
    }
