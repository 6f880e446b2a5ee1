"""Token and order, as Heska wants them, and its answers in our words. Names and shapes [assumed],
by examples 01 to 05, but the subscription key's header and `LabResultEndPoint` [seed]."""

from __future__ import annotations

import base64
import binascii
import json
import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from integrations.heska.wire import codes, strict
from integrations.heska.wire.reader import Account, Reader
from labs.order import Order, Receipt, TestOutcome

SUBSCRIPTION_HEADER = "Ocp-Apim-Subscription-Key"
IDEMPOTENCY_HEADER = "Idempotency-Key"
DEFAULT_TOKEN_SECONDS = 600
MAX_TOKEN_SECONDS = 24 * 60 * 60
MAX_WORDS = 500
# In a receipt that is no JSON, the id that it names.
NAMED = re.compile(rb'"lab_?report_?id"\s*:\s*"([^"]{1,100})"', re.IGNORECASE)
HTML = re.compile(
    rb"(\xef\xbb\xbf)?\s*(<!--.{0,500}?-->\s*)?<(!doctype\s+html|html|head|body|title|h1)\b",
    re.IGNORECASE | re.DOTALL,
)
REFUSALS = {"rejected", "refused", "declined", "failed", "error", "invalid"}
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
    reader = _object(body)
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


@dataclass(frozen=True, kw_only=True)
class Answer:
    """A 2xx. `refused`: it says no all the same; `status`: the error that is wrapped in it."""

    receipt: Receipt
    refused: bool = False
    status: int = 0


def read_answer(body: bytes) -> Answer:
    """An empty or unreadable body is an acceptance all the same, with a note."""
    if not body.strip():
        return Answer(receipt=Receipt())
    reader = _object(body)
    if reader is None:
        return Answer(receipt=Receipt(note="Accepted, but the receipt was not understood."))
    tests = tuple(
        TestOutcome(
            test_request_id=test.text("TestRequestId"),
            accepted=test.text("Status").casefold() not in REFUSALS,
            words=(test.text("Message") or test.text("Code"))[:MAX_WORDS],
        )
        for test in reader.children("Tests")
    )
    said = reader.text("Status").casefold()
    status = reader.number("statusCode") or reader.number("HttpStatusCode") or 0
    if said.isascii() and said.isdecimal() and len(said) == 3:
        status = int(said)
    refused = said in REFUSALS or reader.literal("isSuccess") == ("false", False)
    return Answer(
        receipt=Receipt(external_id=reader.text("HeskaReportId")[:100], tests=tests),
        refused=refused,
        status=status if 400 <= status < 600 else 0,
    )


def names_another(body: bytes, lab_report_id: str) -> bool:
    """It speaks of an order that is not the one sent, be it readable or not."""
    reader = _object(body)
    if reader is not None:
        named = [reader.text("LabReportId")]
    else:
        named = [text.decode("utf-8", "replace") for text in NAMED.findall(body)]
    return any(name and name.casefold() != lab_report_id.casefold() for name in named)


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


def known_id(body: bytes) -> str:
    """Heska's own id of an order that it says is already there (409)."""
    reader = _object(body)
    return reader.text("HeskaReportId")[:100] if reader else ""


def _object(body: bytes) -> Reader | None:
    try:
        value = strict.loads(body)
    except (strict.NotJson, strict.Ambiguous):
        return None
    return Reader(value, "", Account()) if isinstance(value, dict) else None
