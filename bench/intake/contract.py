"""(e) What the contract asks for, and nothing else: the statements, rows and two commits of (a) by
a bare WSGI function, in copies of (a)'s own tables with their indexes and foreign keys.

It knows the one message that is sent. It reads no values, judges nothing, finds no duplicate that
it would have to answer, no contradiction and no earlier version: what it costs is the floor under
(a) for as long as rows are rows, whatever language or framework (a) were written in.
"""

from __future__ import annotations

import hashlib
import json
import os
import threading
import uuid
from collections.abc import Callable, Iterable
from typing import Any

import psycopg

TABLES = (
    *("message", "labrequest", "requestedtest", "submission"),
    *("testrun", "labresult", "observation", "alarm", "labevent"),
)
SCHEMA = "CREATE SCHEMA contract;" + "".join(
    f"CREATE TABLE contract.labs_{table} (LIKE public.labs_{table} INCLUDING ALL);"
    for table in TABLES
)
# Read while only the project's own tables are in sight, so that names in them come without a
# schema, and run while the copies are in sight first.
FOREIGN_KEYS = """
SELECT format('ALTER TABLE contract.%%I ADD CONSTRAINT %%I %%s',
    relname, conname, pg_get_constraintdef(pg_constraint.oid))
FROM pg_constraint JOIN pg_class ON pg_class.oid = conrelid
WHERE contype = 'f' AND relname = ANY(%s) AND relnamespace = 'public'::regnamespace
"""
STOCK = "".join(
    f"INSERT INTO contract.labs_{table} SELECT * FROM public.labs_{table} ON CONFLICT DO NOTHING;"
    for table in ("labrequest", "requestedtest", "submission")
)

TOKEN = """SELECT clinic_id, client_id, scope FROM oauth2_provider_accesstoken token
JOIN oauth2_provider_application application ON application.id = token.application_id
JOIN heska_inboundclient inbound ON inbound.application_id = application.id
WHERE token_checksum = %s AND expires > now()"""
MESSAGE = """INSERT INTO labs_message (direction, vendor, clinic_id, receipt_id, state, cause,
    sender, target, headers, raw, sha256, blanked, dedupe_key, redeliveries, received_at,
    last_seen_at, message_id, adapter_version, extra, warnings, attempts, not_before,
    pending_since, call)
VALUES ('in', 'heska', %s, %s, 'received', '', %s, %s, %s, %s, %s, '', %s, 0, now(),
    now(), '', '', '{}', '[]', 1, now() + interval '30 s',
    now(), '')
ON CONFLICT (dedupe_key) DO NOTHING RETURNING id"""
REQUEST = """SELECT request.id, patient.* FROM labs_labrequest request
JOIN labs_patient patient ON patient.id = request.patient_id
WHERE request.clinic_id = %s AND result_key = %s FOR UPDATE OF request"""
TESTS = """SELECT submission.state, external_id, test.id, test_request_id, panel.code
FROM labs_submission submission JOIN labs_requestedtest test USING (request_id)
JOIN labs_panel panel ON panel.id = panel_id WHERE request_id = %s"""
FILED = """UPDATE labs_message SET state = 'filed', request_id = %s, message_id = %s,
    adapter_version = '1', extra = %s WHERE id = %s AND state = 'received'"""
ANALYTES = "SELECT code, id, unit FROM labs_analyte"
LIMITS = """SELECT analyte_id, species, unit, low, high, clinic_id FROM labs_criticallimit
WHERE clinic_id = %s OR clinic_id IS NULL"""
CODES = "SELECT key, code FROM labs_cliniccode WHERE clinic_id = %s AND kind = 'analyte'"
RUN = """INSERT INTO labs_testrun (clinic_id, request_id, requested_test_id, run_key, test_code,
    test_name, category, analyzer_model, analyzer_serial, analyzer_name, specimen_type,
    review_state, created_at)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, 'waiting', now()) RETURNING id"""
RESULT = """INSERT INTO labs_labresult (clinic_id, run_id, message_id, reading, status,
    report_version, reported_at, run_at, run_at_text, current, comments, correction_reason, species,
    limits_for, digest, received_at)
VALUES (%s, %s, %s, 1, 'final', %s, %s, %s, %s, true, %s, '', 'dog', 'dog', %s, now())
RETURNING id"""
ROWS = """COPY labs_observation (result_id, run_id, analyte_id, current, position, sequence,
    occurrence, code, name, status, value_text, value_kind, number, qualifier, unit,
    not_reported_reason, low, high, range_text, range_kind, critical_low, critical_high,
    critical_source, flag_delivered, flag_delivered_text, flag_computed, comments, warnings)
FROM STDIN"""
ALARM = """INSERT INTO labs_alarm (uuid, clinic_id, run_id, result_id, values, raised_at, stands,
    ended, note)
VALUES (%s, %s, %s, %s, '[{"code": "PLT", "value": "< 2", "why": "critical"}]', now(), true,
    '', '')"""
EVENTS = """INSERT INTO labs_labevent (clinic_id, at, source, verb, patient_id, request_id, data)
VALUES (%(clinic)s, now(), 'system', 'alarm.raised', %(patient)s, %(request)s, '{}'),
    (%(clinic)s, now(), 'heska', 'result.filed', %(patient)s, %(request)s, '{}'),
    (%(clinic)s, now(), 'system', 'request.state', %(patient)s, %(request)s, '{"to": "complete"}')
"""
TEST = "UPDATE labs_requestedtest SET state = 'complete' WHERE id = %s"
DONE = """UPDATE labs_labrequest SET state = 'complete', reviewed_at = NULL, version = version + 1,
    updated_at = now() WHERE id = %s"""

_local = threading.local()


def prepare(connection: psycopg.Connection[Any]) -> None:
    """The copies. Of the project's tables, which must be there, with nothing in them."""
    connection.execute(SCHEMA)
    tables = [f"labs_{table}" for table in TABLES]
    statements = connection.execute(FOREIGN_KEYS, [tables]).fetchall()
    connection.execute("SET LOCAL search_path = contract, public")
    for (statement,) in statements:
        connection.execute(statement)


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    connection = _connection()
    checksum = _sha256(environ["HTTP_AUTHORIZATION"].removeprefix("Bearer ").encode())
    sender = connection.execute(TOKEN, [checksum]).fetchone()
    if sender is None:
        start_response("401 Unauthorized", [("Content-Length", "0")])
        return []
    clinic, client, _ = sender
    raw, target = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"])), environ["PATH_INFO"]
    receipt, sha256 = uuid.uuid4().hex[:26], _sha256(raw)
    headers = json.dumps({"Content-Type": environ["CONTENT_TYPE"]})
    key = _sha256(f"heska|{clinic}|{target}|{sha256}".encode())
    # Committed by itself, before anything of it is read.
    stored = [clinic, receipt, client, target, headers, raw, sha256, key]
    message = _only(connection.execute(MESSAGE, stored))
    with connection.transaction():
        _file(connection, clinic, message, target.rpartition("/")[2], json.loads(raw))
    body = json.dumps({"ReceiptId": receipt, "Status": "Stored"}).encode()
    start_response(
        "201 Created",
        [("Content-Type", "application/json"), ("Content-Length", str(len(body)))],
    )
    return [body]


def _file(
    connection: psycopg.Connection[Any], clinic: int, message: int, key: str, report: Any
) -> None:
    run = report["Tests"][0]
    analyzer = run["Analyzer"]
    request, patient, *_ = connection.execute(REQUEST, [clinic, key]).fetchone() or ()
    _, _, test, *_ = connection.execute(TESTS, [request]).fetchone() or ()
    extra = json.dumps({"/Patient/DateOfBirthEstimated": False, "/Tests/0/SampleId": "S-771"})
    connection.execute(FILED, [request, report["MessageId"], extra, message])
    analytes = {code: pk for code, pk, _ in connection.execute(ANALYTES)}
    connection.execute(LIMITS, [clinic]).fetchall()
    connection.execute(CODES, [clinic]).fetchall()
    described = [
        *(run["TestRunId"], run["TestCode"], run["TestName"], run["Category"]),
        *(analyzer["Model"], analyzer["SerialNumber"], analyzer["Name"], run["SampleType"]),
    ]
    run_pk = _only(connection.execute(RUN, [clinic, request, test, *described]))
    version = [
        *(clinic, run_pk, message, report["ReportVersion"], report["ReportedAt"], run["RunAt"]),
        *(run["RunAt"], json.dumps(run["Comments"]), _sha256(repr(run["Results"]).encode())),
    ]
    result = _only(connection.execute(RESULT, version))
    with connection.cursor() as cursor, cursor.copy(ROWS) as copy:
        for position, row in enumerate(run["Results"], start=1):
            code, value = row["AnalyteCode"], row["Value"]
            low, high = row["ReferenceLow"], row["ReferenceHigh"]
            flag = row["AbnormalFlag"] or ""
            copy.write_row(
                (
                    *(result, run_pk, analytes.get(code), "t", position, str(row["Sequence"]), 1),
                    *(code, row["AnalyteName"], "final", value, "number", value, "", row["Units"]),
                    *("", low, high, row["ReferenceText"], "reference", "", "", ""),
                    *(flag, flag, flag or "N", "[]", "[]"),
                )
            )
    connection.execute(ALARM, [uuid.uuid4(), clinic, run_pk, result])
    connection.execute(EVENTS, {"clinic": clinic, "patient": patient, "request": request})
    connection.execute(TEST, [test])
    connection.execute(DONE, [request])


def _connection() -> psycopg.Connection[Any]:
    if not hasattr(_local, "connection"):
        _local.connection = psycopg.connect(
            os.environ["DATABASE_URL"],
            autocommit=True,
            prepare_threshold=3,
            options="-c search_path=contract,public",
        )
    connection: psycopg.Connection[Any] = _local.connection
    return connection


def _only(cursor: psycopg.Cursor[Any]) -> int:
    row = cursor.fetchone()
    if row is None:
        raise LookupError("Nothing was written.")
    return int(row[0])


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
