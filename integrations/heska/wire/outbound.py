"""Token and order, as Heska wants them, and its answers in our words. Names and shapes [assumed],
by examples 01 to 05, but the subscription key's header and `LabResultEndPoint` [seed]."""

from __future__ import annotations

import base64
import binascii
import json
import re
from typing import Any
from urllib.parse import urlencode

from integrations.heska.wire import codes, strict
from integrations.heska.wire.reader import Account, Reader
from labs.order import Order

SUBSCRIPTION_HEADER = "Ocp-Apim-Subscription-Key"
IDEMPOTENCY_HEADER = "Idempotency-Key"
DEFAULT_TOKEN_SECONDS = 600
MAX_TOKEN_SECONDS = 24 * 60 * 60
MAX_WORDS = 500
HTML = re.compile(
    rb"(\xef\xbb\xbf)?\s*(<!--.{0,500}?-->\s*)?<(!doctype\s+html|html|head|body|title|h1)\b",
    re.IGNORECASE | re.DOTALL,
)
WORDS = ("Message", "ErrorMessage", "detail", "error_description", "title", "error")


class Unmappable(Exception):
    """The order holds something for which Heska has no code; `str()` says what, for staff."""


def token_body(encoding: str, client_id: str, client_secret: str) -> tuple[str, str]:
    """Content type and body of the token call. `encoding`: form, json or json-pascal."""
    if encoding == "form":
        fields = {
            "grant_type": "client_credentials",
            "client_id": client_id,
            "client_secret": client_secret,
        }
        return "application/x-www-form-urlencoded", urlencode(fields)
    names = {
        "json": ("grant_type", "client_id", "client_secret"),
        "json-pascal": ("GrantType", "ClientId", "ClientSecret"),
    }[encoding]
    values = ("client_credentials", client_id, client_secret)
    return "application/json", json.dumps(dict(zip(names, values, strict=True)))


def read_token(body: bytes, now: float) -> tuple[str, float] | None:
    """The bearer token and for how many seconds it holds: `expires_in`, else the JWT's own times,
    else ten minutes. None where there is no token in it. `now`: seconds since the epoch."""
    reader = read_object(body)
    if reader is None:
        return None
    token = reader.text("access_token")
    if not token or not token.isascii() or not token.isprintable() or " " in token:
        return None
    told = reader.number("expires_in")
    seconds = _jwt_seconds(token, now) if told is None else float(told)
    # A far date is no reason to believe in a token for years, and one that no clock holds breaks.
    return token, min(max(seconds, 0.0), float(MAX_TOKEN_SECONDS))


def _jwt_seconds(token: str, now: float) -> float:
    """From `iat` to `exp` by its issuer's clock, which may be a day off ours; without `iat` by
    ours. What gives no time to come says nothing."""
    try:
        _, payload, _ = token.split(".")
        claims = strict.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        seconds = float(claims["exp"]) - float(claims.get("iat", now))
    except (
        *(ValueError, KeyError, TypeError, AttributeError),
        *(binascii.Error, strict.NotJson, strict.Ambiguous),
    ):
        return DEFAULT_TOKEN_SECONDS
    return seconds if seconds > 0 else DEFAULT_TOKEN_SECONDS


def order_body(order: Order) -> dict[str, Any]:
    """The body of Submit Lab Report. Raises Unmappable rather than guess a code."""
    species = codes.species_sent(order.species, order.codes).code
    if not species:
        raise Unmappable(f"Heska has no code for the species of {order.patient_name}.")
    doctor_last, _, doctor_first = (part.strip() for part in order.doctor.partition(","))
    return {
        "LabReportId": order.lab_report_id,
        "LabResultEndPoint": order.result_endpoint,
        "ClinicId": order.clinic_id,
        "RequestedAt": order.requested_at.isoformat(timespec="seconds"),
        "Priority": "STAT" if order.stat else "Routine",
        "Notes": order.notes,
        "Patient": {
            "PatientId": order.patient_id,
            "Name": order.patient_name,
            "Species": species,
            "Breed": codes.breed_sent(order.species, order.breed, order.codes).code,
            "Sex": codes.sex_sent(order.sex, order.neutered, order.codes).code,
            "DateOfBirth": order.birth_date.isoformat() if order.birth_date else None,
            "DateOfBirthEstimated": order.birth_date_estimated,
            "Weight": None if order.weight_kg is None else f"{order.weight_kg:.2f}",
            "WeightUnit": "kg",
            "MicrochipNumber": order.microchip or None,
        },
        "Client": {
            "ClientId": order.owner_id,
            "FirstName": order.owner_first_name,
            "LastName": order.owner_last_name,
        },
        "Doctor": {"FirstName": doctor_first, "LastName": doctor_last},
        "Technician": {"Name": order.technician},
        "Tests": [
            {
                "TestRequestId": test.test_request_id,
                "TestCode": codes.test_sent(test.code, order.codes),
                "TestName": test.name,
                "AnalyzerModel": test.analyzer_model,
                "SampleType": test.specimen_type,
                "Replicate": 0,
            }
            for test in order.tests
        ],
    }


def owner_in(body: str) -> str:
    """The client's id in what `order_body` made; empty where it is none of ours."""
    try:
        owner_id = strict.loads(body.encode())["Client"]["ClientId"]
    except (strict.NotJson, strict.Ambiguous, KeyError, TypeError):
        return ""
    return owner_id if isinstance(owner_id, str) else ""


def error_words(body: bytes) -> str:
    """What the provider itself says, from any of the body shapes of example 05: a message, a
    validation problem with its fields, a wrapped error, a bare string, plain text. No HTML."""
    text = body.decode("utf-8", errors="replace").strip()
    if is_html(body):
        return ""
    try:
        value = strict.loads(body)
    except (strict.NotJson, strict.Ambiguous):
        return strict.safe(text)[:MAX_WORDS]
    if isinstance(value, str):
        return strict.safe(value)[:MAX_WORDS]
    if not isinstance(value, dict):
        return strict.safe(text)[:MAX_WORDS]
    wrapped = value.get("value")
    reader = Reader(wrapped if isinstance(wrapped, dict) else value, "", Account())
    said = next(
        (t for name in WORDS if (t := reader.text(name))),
        "",
    )
    errors = value.get("errors")
    if isinstance(errors, dict):
        fields = [
            f"{field}: {' '.join(map(str, told)) if isinstance(told, list) else told}"
            for field, told in errors.items()
        ]
        said = " ".join(part for part in (said, *fields) if part)
    # Nothing that we know of: better all of it than a refusal without a word.
    return strict.safe(said or text)[:MAX_WORDS]


def is_html(body: bytes) -> bool:
    return HTML.match(body) is not None


def read_object(body: bytes) -> Reader | None:
    try:
        value = strict.loads(body)
    except (strict.NotJson, strict.Ambiguous):
        return None
    return Reader(value, "", Account()) if isinstance(value, dict) else None
