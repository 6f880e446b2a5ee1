"""(d) The limit: a bare WSGI function that checks the token by one SELECT, parses, and writes the
raw row and a row an analyte by COPY in one commit. No framework, no reading of values, no versions.
"""

from __future__ import annotations

import hashlib
import json
import os
import threading
from collections.abc import Callable, Iterable
from typing import Any

import psycopg

# Column of a row, and the field of the message that it holds.
ROW_FIELDS = {
    "sequence": "Sequence",
    "code": "AnalyteCode",
    "name": "AnalyteName",
    "value_type": "ValueType",
    "value": "Value",
    "numeric_value": "NumericValue",
    "units": "Units",
    "reference_low": "ReferenceLow",
    "reference_high": "ReferenceHigh",
    "reference_text": "ReferenceText",
    "reference_type": "ReferenceType",
    "abnormal_flag": "AbnormalFlag",
    "status": "Status",
}
TABLES = f"""
CREATE TABLE limit_raw (id bigserial PRIMARY KEY, sha256 text NOT NULL, raw bytea NOT NULL,
    received_at timestamptz NOT NULL DEFAULT now());
CREATE TABLE limit_row (id bigserial PRIMARY KEY, raw_id bigint NOT NULL REFERENCES limit_raw,
    {", ".join(f"{name} text NOT NULL" for name in ROW_FIELDS)});
CREATE INDEX ON limit_row (raw_id);
"""
TOKEN = """SELECT application_id FROM oauth2_provider_accesstoken
WHERE token_checksum = %s AND expires > now()"""
RAW = "INSERT INTO limit_raw (sha256, raw) VALUES (%s, %s) RETURNING id"
COPY = f"COPY limit_row (raw_id, {', '.join(ROW_FIELDS)}) FROM STDIN"
KEYS = tuple(ROW_FIELDS.values())

_local = threading.local()


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    if not hasattr(_local, "connection"):
        _local.connection = psycopg.connect(os.environ["DATABASE_URL"])
    connection = _local.connection
    token = environ["HTTP_AUTHORIZATION"].removeprefix("Bearer ")
    checksum = hashlib.sha256(token.encode()).hexdigest()
    with connection.transaction(), connection.cursor() as cursor:
        if cursor.execute(TOKEN, [checksum]).fetchone() is None:
            start_response("401 Unauthorized", [("Content-Length", "0")])
            return []
        raw = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
        report = json.loads(raw)
        (pk,) = cursor.execute(RAW, [hashlib.sha256(raw).hexdigest(), raw]).fetchone()
        with cursor.copy(COPY) as copy:
            for test in report["Tests"]:
                for row in test["Results"]:
                    copy.write_row([pk, *(_text(row.get(key)) for key in KEYS)])
    body = b'{"ReceiptId": "%d", "Status": "Stored"}' % pk
    start_response(
        "201 Created",
        [("Content-Type", "application/json"), ("Content-Length", str(len(body)))],
    )
    return [body]


def _text(value: object) -> str:
    return "" if value is None else str(value)
