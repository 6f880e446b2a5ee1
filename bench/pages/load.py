"""A clinic of many years, and three smaller ones beside it, into an empty PostgreSQL.

One request with all that belongs to it is made by the application itself, and then copied by SQL:
a column that is added tomorrow is copied with it. What waits for somebody is the same at each size,
because a clinic with more history has no more work today; its past is what grows.
"""

from __future__ import annotations

import csv
import random
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.db import connection, models
from django.utils import timezone

DATA = Path(__file__).resolve().parents[1] / "matching" / "data"
FIRST = ("Ana", "Ben", "Carla", "David", "Elena", "Frank", "Grace", "Hugo", "Iris", "Jon", "Kira")
OTHERS = 3  # smaller clinics: together a tenth of what the large one has
HEAVY = 40  # animals with a long record, whose pages are asked for
REQUESTS_OF_HEAVY = 25
CODES = (
    *("WBC", "RBC", "HGB", "HCT", "MCV", "MCH", "MCHC", "PLT", "MPV", "RDW"),
    *("NEU#", "LYM#", "MON#", "EOS#", "BAS#", "NEU%", "LYM%", "MON%", "EOS%", "BAS%"),
)
WAITING = {"review": 40, "running": 25, "attention": 5, "unmatched": 60}


@dataclass
class Loaded:
    """What the pages are asked for: of each kind some."""

    admin: Any
    animals: list[Any]
    heavy: list[Any]
    requests: list[str]
    orphans: list[Any]
    messages: list[str]


def loaded() -> Loaded:
    """Of what is in the database."""
    from django.contrib.auth.models import User

    from labs.models import LabRequest, Message, Patient, UnmatchedResult

    messages = Message.objects.filter(clinic__public_id="bench", direction=Message.Direction.IN)
    animals = Patient.objects.filter(clinic__public_id="bench", patient_id__startswith="P-0")
    heavy = [
        row
        for row in animals.select_related("owner").order_by("pk")[:1000]
        if (int(row.patient_id[2:]) - 2) % 20 == 0
    ]
    heavy = heavy[:HEAVY]
    of_heavy = LabRequest.objects.filter(patient__in=heavy, lab_report_id__startswith="BN-")
    return Loaded(
        admin=User.objects.get(username="bench"),
        animals=list(animals.select_related("owner").order_by("uuid")[:1000]),
        heavy=heavy,
        requests=list(of_heavy.order_by("-pk").values_list("lab_report_id", flat=True)[:500]),
        orphans=list(UnmatchedResult.objects.filter(clinic__public_id="bench").waiting()),
        messages=list(messages.order_by("-pk").values_list("receipt_id", flat=True)[:500]),
    )


def load(results: int, patients: int) -> None:
    """`results`: runs of one test each, of the large clinic and the others together."""
    from labs.models import Role
    from tests import factories

    clinic = factories.make_clinic("Elm Street", public_id="bench")
    others = [factories.make_clinic(f"Beside {n}", public_id=f"beside-{n}") for n in range(OTHERS)]
    factories.make_staff(
        Role.ADMIN, clinic=clinic, username="bench", is_staff=True, is_superuser=False
    )
    vet = factories.make_staff(Role.VET, clinic=clinic, username="vet")
    light = _sample(clinic, vet, CODES[:2])
    heavy = _sample(clinic, vet, CODES)
    matched = _matched(clinic, vet)
    waiting(clinic, vet)
    with connection.cursor() as cursor:
        cursor.execute("SET statement_timeout = 0")
    clinics = [clinic.pk, *(other.pk for other in others)]
    with without_indexes():
        _patients(light, clinics, patients)
        first = _next("labs_patient") - patients
        whose = _case(f"(n % {patients})", clinics)
        _past(light, matched, whose, f"{first} + n % {patients}", 1, results)
        _past(heavy, None, str(clinic.pk), f"{first} + 20 * (n % {HEAVY}) + 2", results + 1,
              results + HEAVY * REQUESTS_OF_HEAVY)  # fmt: skip
        _names(clinics)
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")
        cursor.execute("RESET statement_timeout")


def _sample(clinic: Any, vet: Any, codes: Iterable[str]) -> Any:
    """A request that came back and was signed."""
    from labs.services.reviews import review
    from tests import factories

    patient = factories.make_patient(clinic, microchip="900000000000001")
    request = factories.make_request(patient, acting_user=vet, accepted=True)
    rows = [factories.make_row(code, "7.1", low="5", high="9") for code in codes]
    factories.make_result(request, factories.make_report([factories.make_run(rows)]))
    review.sign(acting_user=vet, request=request, expected_version=request.version)
    request.refresh_from_db()
    return request


def _matched(clinic: Any, vet: Any) -> Any:
    from labs.services.orphaned import matching
    from tests import factories

    orphan = factories.make_unmatched(clinic)
    matching.match(
        acting_user=vet,
        unmatched=orphan,
        patient=factories.make_patient(clinic),
        expected_version=orphan.version,
    )
    orphan.refresh_from_db()
    return orphan


def waiting(clinic: Any, vet: Any) -> None:
    """What somebody has still to do, as on a working day."""
    from labs.models import LabRequest, Submission
    from tests import factories

    rows = [factories.make_row(code, "7.1", low="5", high="9") for code in CODES]
    for number in range(WAITING["review"]):
        request = factories.make_request(factories.make_patient(clinic), accepted=True)
        odd = [factories.make_row("WBC", "44", critical_high="40")] if number % 8 == 0 else []
        factories.make_result(request, factories.make_report([factories.make_run(rows + odd)]))
    for _ in range(WAITING["running"]):
        factories.make_request(factories.make_patient(clinic), accepted=True)
    for _ in range(WAITING["attention"]):
        stuck = factories.make_request(factories.make_patient(clinic))
        Submission.objects.filter(request=stuck).update(state="needs_attention")
        LabRequest.objects.filter(pk=stuck.pk).update(state="needs_attention")
    for number in range(WAITING["unmatched"]):
        factories.make_unmatched(
            clinic, patient_name=("BELA", "MAXX", "LUNA")[number % 3], owner_last_name="Smith"
        )


def _case(n: str, clinics: list[int]) -> str:
    """One owner in ten is of the smaller clinics, in turns."""
    large, *small = clinics
    turns = " ".join(f"WHEN {place} THEN {pk}" for place, pk in enumerate(small))
    small_one = f"CASE {n} / 20 % {len(small)} {turns} END"
    return f"CASE WHEN {n} / 2 % 10 = 0 THEN {small_one} ELSE {large} END"


def _next(table: str) -> int:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT coalesce(max(id), 0) + 1 FROM {table}")
        return int(cursor.fetchone()[0])


def copied(model: type[models.Model], pk: int, where: str, columns: dict[str, str]) -> None:
    """The row `pk` so often as `where`, a FROM clause, has rows; `columns` are expressions, all
    others stay as they are in that row."""
    table = model._meta.db_table
    names = [each.column for each in model._meta.concrete_fields]
    unknown = set(columns) - set(names)
    assert not unknown, f"{table} has no {unknown}"
    values = ", ".join(columns.get(name, f't."{name}"') for name in names)
    quoted = ", ".join(f'"{name}"' for name in names)
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {table} ({quoted}) SELECT {values} FROM {table} t, {where} "
            f"WHERE t.id = {int(pk)}"
        )
        cursor.execute(
            f"SELECT setval(pg_get_serial_sequence('{table}', 'id'), max(id)) FROM {table}"
        )


def _past(light: Any, matched: Any, clinic: str, patient: str, start: int, stop: int) -> None:
    """Requests number `start` to `stop`, come back and signed, over six years. One in twenty came
    without a request and was matched, where `matched` is given."""
    from labs.models import (
        LabEvent,
        LabRequest,
        LabResult,
        MatchDecision,
        Message,
        Observation,
        RequestedTest,
        Review,
        Submission,
        TestRun,
        UnmatchedResult,
    )

    tables = (LabRequest, Submission, RequestedTest, Message, TestRun, LabResult, Review)
    request, submission, test, message, run, result, review = (
        f"{_next(model._meta.db_table) - start} + n" for model in tables
    )
    where = f"generate_series({start}::bigint, {stop}) n"
    # Nothing of the past day: what was reviewed lately is on the worklist.
    at = "now() - (n * 7919 % 2100 + 3) * interval '1 day' - (n % 1440) * interval '1 minute'"
    copied(LabRequest, light.pk, where, {
        "id": request, "clinic_id": clinic, "patient_id": patient, "requested_at": at,
        "lab_report_id": "'BN-' || n", "result_key": "'bench-' || n", "reviewed_at": at,
        "updated_at": at, "form_key": "NULL",
    })  # fmt: skip
    of = {"clinic_id": clinic, "request_id": request}
    copied(Submission, light.submission.pk, where, {
        **of, "id": submission, "external_id": "'HR-B' || n", "accepted_at": at,
        "not_before": at, "created_at": at,
    })  # fmt: skip
    copied(RequestedTest, light.tests.get().pk, where, {
        "id": test, "request_id": request, "test_request_id": "'BN-' || n || '-1'",
        "reported_run_id": "NULL",
    })  # fmt: skip
    version = light.runs.get().versions.get()
    copied(Message, version.message_id, where, {
        **of, "id": message, "receipt_id": "'bench-' || n", "received_at": at, "last_seen_at": at,
        "dedupe_key": "md5('d' || n)", "sha256": "md5('s' || n)", "message_id": "'bench-' || n",
    })  # fmt: skip
    orphan = "NULL"
    if matched is not None:
        sample = matched.decisions.get()
        orphan_id = f"{_next('labs_unmatchedresult') - start} + n"
        orphan = f"CASE WHEN n % 20 = 7 THEN {orphan_id} END"
        some = f"(SELECT n FROM generate_series({start}::bigint, {stop}) n WHERE n % 20 = 7) g"
        copied(UnmatchedResult, matched.pk, some, {
            "id": orphan_id, "clinic_id": clinic, "uuid": "gen_random_uuid()", "created_at": at,
            "external_id": "'UM-B' || n", "message_id": "'bench-um-' || n",
        })  # fmt: skip
        copied(MatchDecision, sample.pk, some, {
            "id": f"{_next('labs_matchdecision') - start} + n", "unmatched_id": orphan_id,
            "patient_id": patient, "request_id": request, "at": at,
        })  # fmt: skip
    copied(TestRun, light.runs.get().pk, where, {
        **of, "id": run, "requested_test_id": test, "run_key": "'bench-' || n", "created_at": at,
        "unmatched_id": orphan,
    })  # fmt: skip
    copied(LabResult, version.pk, where, {
        "id": result, "clinic_id": clinic, "run_id": run, "message_id": message, "run_at": at,
        "reported_at": at, "received_at": at, "digest": "md5('r' || n)",
    })  # fmt: skip
    rows = list(version.observations.order_by("pk"))
    first = _next(Observation._meta.db_table) - start * len(rows)
    for place, row in enumerate(rows):
        copied(Observation, row.pk, where, {
            "id": f"{first} + n * {len(rows)} + {place}", "result_id": result, "run_id": run,
            "value_text": "(5 + n % 40 / 10.0)::numeric(4,1)::text",
            "number": "(5 + n % 40 / 10.0)::numeric(4,1)::text",
        })  # fmt: skip
    copied(Review, light.runs.get().reviews.get().pk, where, {
        "id": review, "clinic_id": clinic, "run_id": run, "result_id": result, "reviewed_at": at,
    })  # fmt: skip
    for event in light.events.order_by("pk")[:2]:
        copied(LabEvent, event.pk, where, {
            **of, "id": f"{_next('labs_labevent') - start} + n", "patient_id": patient, "at": at,
            "message_id": "NULL",
        })  # fmt: skip


def _patients(light: Any, clinics: list[int], count: int) -> None:
    """Names as often as dogs and people have them; two animals to an owner."""
    from labs.keys import plain
    from labs.models import Owner, Patient, Weight

    chance = random.Random(7)
    dogs, often = _csv("dog_names_auckland.csv")
    people, how_often = _csv("us_surnames_1990.csv")
    names = chance.choices(dogs, often, k=count)
    surnames = chance.choices(people, how_often, k=count)
    firsts = chance.choices(FIRST, k=count)
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE TEMP TABLE made (n int PRIMARY KEY, name text, name_key text, surname text, "
            "surname_key text, first text, phone text, chip text)"
        )
        with cursor.copy("COPY made FROM STDIN") as copy:  # type: ignore[attr-defined]
            for n in range(count):
                surname, first = surnames[n // 2], firsts[n // 2]
                phone = f"+1 (303) {n // 2 // 10000 + 200:03d}-{n // 2 % 10000:04d}"
                chip = f"9{n * 7919:014d}"
                copy.write_row(
                    (n, names[n], plain(names[n]), surname, plain(surname), first, phone, chip)
                )
        cursor.execute("ANALYZE made")
    patient, owner = _next("labs_patient"), _next("labs_owner")
    whose = _case("n", clinics)
    copied(Owner, light.patient.owner_id, "(SELECT * FROM made WHERE n % 2 = 0) g", {
        "id": f"{owner} + n / 2", "clinic_id": whose, "uuid": "gen_random_uuid()",
        "owner_id": "'C-B' || n / 2", "last_name": "g.surname", "first_name": "g.first",
        "phone": "g.phone", "email": "'o' || n || '@example.com'", **owner_keys(),
    })  # fmt: skip
    copied(Patient, light.patient_id, "made g", {
        "id": f"{patient} + n", "clinic_id": whose, "uuid": "gen_random_uuid()",
        "owner_id": f"{owner} + n / 2", "patient_id": "'P-' || lpad(n::text, 6, '0')",
        "id_key": "n::text", "name": "g.name", "name_key": "g.name_key",
        "surname_key": "g.surname_key", "microchip": "g.chip", "chip_key": "g.chip",
        "latest_visit": "now() - n % 900 * interval '1 day'",
    })  # fmt: skip
    weight = Weight.objects.create(patient=light.patient, kg=12, measured_on=timezone.localdate())
    copied(Weight, weight.pk, "made g", {
        "id": f"{_next('labs_weight')} + n", "patient_id": f"{patient} + n",
    })  # fmt: skip


def owner_keys() -> dict[str, str]:
    """What an owner is found by, in SQL."""
    digits = "right(regexp_replace(g.phone, '\\D', '', 'g'), 10)"
    return {
        "first_key": "lower(g.first)",
        "phone_key": digits,
        "phone_end": f"reverse({digits})",
    }


def _csv(name: str) -> tuple[list[str], list[float]]:
    with (DATA / name).open(encoding="utf-8") as file:
        _, *rows = csv.reader(file)
    return [row[0] for row in rows], [float(row[1]) for row in rows]


def _names(clinics: list[int]) -> None:
    """The registry's counts, as writing the animals one by one would have left them."""
    from labs.models import Vocabulary

    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM labs_namecount")
        for kind in ("name", "surname"):
            cursor.execute(
                "INSERT INTO labs_namecount (clinic_id, kind, key, count, version) "
                f"SELECT clinic_id, '{kind}', {kind}_key, count(*), 1 FROM labs_patient "
                f"WHERE {kind}_key <> '' AND NOT is_test GROUP BY clinic_id, {kind}_key"
            )
        cursor.execute(
            "INSERT INTO labs_namecount (clinic_id, kind, key, count, version) "
            "SELECT clinic_id, 'species', species, count(*), 1 FROM labs_patient "
            "WHERE NOT is_test GROUP BY clinic_id, species"
        )
    for pk in clinics:
        Vocabulary.objects.update_or_create(pk=pk, defaults={"version": 1})


@contextmanager
def without_indexes() -> Iterator[None]:
    """Indexes that are no constraint's are made when the rows are there, and foreign keys are not
    looked up row by row: minutes instead of an hour."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT indexdef, indexname FROM pg_indexes WHERE schemaname = 'public' AND "
            "tablename LIKE 'labs_%' AND indexname NOT IN (SELECT conname FROM pg_constraint) "
            "AND indexdef NOT LIKE '%UNIQUE%'"
        )
        found = cursor.fetchall()
        for _, name in found:
            cursor.execute(f'DROP INDEX "{name}"')
        cursor.execute("SET session_replication_role = replica")
    yield
    with connection.cursor() as cursor:
        cursor.execute("SET session_replication_role = DEFAULT")
        cursor.execute("SET maintenance_work_mem = '512MB'")
        for definition, _ in found:
            cursor.execute(definition)
