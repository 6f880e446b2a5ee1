"""What Heska offers a PIMS: a token, and Submit Lab Report (contract, examples 02, 04 and 05)."""

from __future__ import annotations

import datetime
import hmac
import logging
import re
import time
from typing import Any

from . import answers, tokens
from .analyzers import Dcu
from .catalogue import SPECIES, TESTS
from .cloud import Cloud, Item, Json, Order, now
from .entries import is_url
from .exchange import Answer, Request, json_answer, read_json
from .rules import Event
from .script import Clinic

logger = logging.getLogger(__name__)

_LAB_REPORT_ID = re.compile(r"[A-Z0-9-]{1,20}")


def refused_key(cloud: Cloud, request: Request) -> Answer | None:
    """The gateway's 401 where the subscription key is missing or wrong."""
    key = request.headers.get("ocp-apim-subscription-key")
    if not key:
        return answers.key_refused(answers.MISSING_KEY)
    if not _same(key, cloud.script.subscription_key):
        return answers.key_refused(answers.INVALID_KEY)
    return None


def token(cloud: Cloud, request: Request) -> Answer:
    """Get Client Credentials Token, as a form or as JSON, names in any case."""
    fields = {name.replace("_", "").lower(): value for name, value in _given(request).items()}
    if fields.get("granttype") != "client_credentials":
        return json_answer(400, {"error": "unsupported_grant_type"})
    client_id, secret = (str(fields.get(name, "")) for name in ("clientid", "clientsecret"))
    clinic = cloud.clinic_of_client(client_id)
    if clinic is None or not _same(secret, clinic.client_secret):
        return answers.credentials_refused()
    with cloud.lock:
        cloud.counts["tokens"] += 1
    body = {
        "access_token": tokens.issue(cloud.secret, clinic.client_id, time.time()),
        "token_type": "Bearer",
        "expires_in": tokens.LIFETIME,
    }
    return json_answer(200, body, (("Cache-Control", "no-store"),))


def submit(cloud: Cloud, dcu: Dcu, request: Request) -> Answer:
    """Submit Lab Report: check, take, and start the tests."""
    clinic = _bearer(cloud, request)
    if clinic is None:
        return answers.token_refused()
    try:
        data = read_json(request.body)
    except ValueError:
        return answers.invalid(400, {"$": ["The JSON value could not be converted."]})
    if not isinstance(data, dict):
        return answers.invalid(400, {"$": ["The JSON value could not be converted."]})
    errors = validate(data)
    if errors:
        return answers.invalid(400, errors)
    known = cloud.known_report(clinic, data["LabReportId"])
    if known is None:
        order = _order(cloud, clinic, data)
        known = cloud.take(order)
        if known is None:
            logger.info("order %s of %s", order.lab_report_id, clinic.clinic_id)
            taken = _accepted(order)  # before a test moves on
            dcu.run(order)
            return taken
    return answers.already_there(data["LabReportId"], known)


def event_of(cloud: Cloud, request: Request, on: str) -> Event:
    """What a call is about, for the rules: read as far as it can be, whatever is wrong with it."""
    given = _given(request)
    if on == "token":
        fields = {name.replace("_", "").lower(): value for name, value in given.items()}
        clinic = cloud.clinic_of_client(str(fields.get("clientid", "")))
        return Event(on, clinic_id=clinic.clinic_id if clinic else "")
    clinic = _bearer(cloud, request)
    patient, tests = given.get("Patient"), given.get("Tests")
    return Event(
        on,
        clinic_id=clinic.clinic_id if clinic else str(given.get("ClinicId") or ""),
        lab_report_id=str(given.get("LabReportId") or ""),
        patient=str(patient.get("Name") or "") if isinstance(patient, dict) else "",
        test_codes=tuple(
            str(each.get("TestCode") or "")
            for each in (tests if isinstance(tests, list) else ())
            if isinstance(each, dict)
        ),
    )


def validate(data: Json) -> dict[str, list[str]]:
    """What is wrong with a lab report, by field; nothing if it can be run."""
    errors: dict[str, list[str]] = {}
    ident = data.get("LabReportId")
    if not ident:
        errors["LabReportId"] = ["The LabReportId field is required."]
    elif not isinstance(ident, str) or not _LAB_REPORT_ID.fullmatch(ident):
        errors["LabReportId"] = ["The LabReportId must be at most 20 characters of A-Z, 0-9 and -."]
    endpoint = data.get("LabResultEndPoint")
    if not endpoint:
        errors["LabResultEndPoint"] = ["The LabResultEndPoint field is required."]
    elif not isinstance(endpoint, str) or not is_url(endpoint):
        errors["LabResultEndPoint"] = ["The LabResultEndPoint must be an http or https URL."]
    given = data.get("Patient")
    patient = given if isinstance(given, dict) else {}
    for name in ("Name", "Species"):
        if not isinstance(patient.get(name), str) or not patient[name].strip():
            errors[f"Patient.{name}"] = [f"The {name} field is required."]
    if "Patient.Species" not in errors and patient["Species"] not in SPECIES:
        errors["Patient.Species"] = [f"The value '{patient['Species'][:40]}' is not valid."]
    tests = data.get("Tests")
    if not isinstance(tests, list) or not tests:
        errors["Tests"] = ["The Tests field is required."]
        return errors
    for i, test in enumerate(tests):
        code = test.get("TestCode") if isinstance(test, dict) else None
        if not isinstance(code, str) or not code:
            errors[f"Tests[{i}].TestCode"] = ["The TestCode field is required."]
    return errors


def _given(request: Request) -> Json:
    """The fields of a body, JSON or a form; none where it cannot be read."""
    if "json" not in request.headers.get("content-type", ""):
        try:
            return dict(request.form())
        except ValueError:  # too many fields
            return {}
    try:
        data = read_json(request.body)
    except ValueError:
        return {}
    return data if isinstance(data, dict) else {}


def _bearer(cloud: Cloud, request: Request) -> Clinic | None:
    scheme, _, value = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer":
        return None
    client_id = tokens.subject(cloud.secret, value.strip(), time.time())
    return cloud.clinic_of_client(client_id) if client_id else None


def _order(cloud: Cloud, clinic: Clinic, data: Json) -> Order:
    items = []
    for sequence, ordered in enumerate(data["Tests"], 1):
        test = TESTS.get(ordered["TestCode"])
        items.append(Item(ordered, test, sequence, "waiting" if test else "rejected"))
    given = data.get("ClinicId")
    return Order(
        clinic=clinic,
        lab_report_id=data["LabReportId"],
        heska_report_id=cloud.new_report_id(),
        endpoint=data["LabResultEndPoint"],
        clinic_id=given if isinstance(given, str) and given else clinic.clinic_id,
        species=data["Patient"]["Species"],
        people={
            name: data[name]
            for name in ("Patient", "Client", "Doctor")
            if isinstance(data.get(name), dict)
        },
        zone=clinic.zone() or _zone_of(data.get("RequestedAt")),
        items=items,
    )


def _accepted(order: Order) -> Answer:
    tests: list[Json] = []
    for item in order.items:
        entry: Json = {"TestRequestId": item.ordered.get("TestRequestId")}
        if item.test:
            tests.append(entry | {"Status": "Accepted"})
        else:
            message = f"No analyzer at this clinic offers {item.ordered['TestCode']}"
            refusal = {"Status": "Rejected", "Code": "TEST_NOT_AVAILABLE", "Message": message}
            tests.append(entry | refusal)
    body = {
        "LabReportId": order.lab_report_id,
        "HeskaReportId": order.heska_report_id,
        "Status": "Accepted",
        "ReceivedAt": f"{order.received_at:%Y-%m-%dT%H:%M:%SZ}",
        "Tests": tests,
    }
    return json_answer(200, body)


def _zone_of(text: Any) -> datetime.tzinfo:
    """The offset at which the request was written, for the analyzer's local times."""
    try:
        moment = datetime.datetime.fromisoformat(text)
    except (TypeError, ValueError):
        moment = now()
    return moment.tzinfo or datetime.UTC


def _same(given: str, expected: str) -> bool:
    return hmac.compare_digest(given.encode("utf-8", "replace"), expected.encode())
