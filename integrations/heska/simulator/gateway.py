"""What Heska offers a PIMS: a token, and Submit Lab Report (contract, examples 02, 04 and 05)."""

from __future__ import annotations

import datetime
import hmac
import logging
import re
import time
import uuid
from typing import Any

from . import tokens
from .analyzers import Dcu
from .catalogue import SPECIES, TESTS
from .cloud import Cloud, Item, Json, Order, now
from .exchange import Answer, Request, json_answer, read_json
from .script import Clinic, is_url

logger = logging.getLogger(__name__)

_MISSING_KEY = (
    "Access denied due to missing subscription key. "
    "Make sure to include subscription key when making requests to an API."
)
_WRONG_KEY = (
    "Access denied due to invalid subscription key. "
    "Make sure to provide a valid key for an active subscription."
)
_LAB_REPORT_ID = re.compile(r"[A-Z0-9-]{1,20}")


def refused_key(cloud: Cloud, request: Request) -> Answer | None:
    """The gateway's 401 where the subscription key is missing or wrong."""
    key = request.headers.get("ocp-apim-subscription-key")
    if not key:
        return json_answer(401, {"statusCode": 401, "message": _MISSING_KEY})
    if not _same(key, cloud.script.subscription_key):
        return json_answer(401, {"statusCode": 401, "message": _WRONG_KEY})
    return None


def token(cloud: Cloud, request: Request) -> Answer:
    """Get Client Credentials Token, as a form or as JSON, names in any case."""
    if "json" in request.headers.get("content-type", ""):
        try:
            data = read_json(request.body)
        except ValueError:
            data = None
        given = data if isinstance(data, dict) else {}
    else:
        given = request.form()
    fields = {name.replace("_", "").lower(): value for name, value in given.items()}
    if fields.get("granttype") != "client_credentials":
        return json_answer(400, {"error": "unsupported_grant_type"})
    client_id, secret = (str(fields.get(name, "")) for name in ("clientid", "clientsecret"))
    clinic = cloud.clinic_of_client(client_id)
    if clinic is None or not _same(secret, clinic.client_secret):
        return Answer(401, b"Invalid User or Password", "text/plain")
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
        return json_answer(401, _no_token())
    try:
        data = read_json(request.body)
    except ValueError:
        return _invalid({"$": ["The JSON value could not be converted."]})
    if not isinstance(data, dict):
        return _invalid({"$": ["The JSON value could not be converted."]})
    errors = validate(data)
    if errors:
        return _invalid(errors)
    known = cloud.known_report(clinic, data["LabReportId"])
    if known is None:
        order = _order(cloud, clinic, data)
        known = cloud.take(order)
        if known is None:
            logger.info("order %s of %s", order.lab_report_id, clinic.clinic_id)
            answer = _accepted(order)  # before a test moves on
            dcu.run(order)
            return answer
    return json_answer(
        409,
        {
            "Code": "DUPLICATE_LAB_REPORT",
            "Message": f"LabReportId {data['LabReportId']} already exists",
            "HeskaReportId": known,
        },
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


def not_found() -> Answer:
    """The gateway's 404."""
    return json_answer(404, {"statusCode": 404, "message": "Resource not found"})


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


def _invalid(errors: dict[str, list[str]]) -> Answer:
    body = {
        "type": "https://tools.ietf.org/html/rfc9110#section-15.5.1",
        "title": "One or more validation errors occurred.",
        "status": 400,
        "errors": errors,
        "traceId": f"00-{uuid.uuid4().hex}-{uuid.uuid4().hex[:16]}-00",
    }
    return json_answer(400, body)


def _no_token() -> Json:
    return {
        "type": "https://www.rfc-editor.org/rfc/rfc9110.html#status.401",
        "message": "Access token is missing.",
        "status": 401,
        "errorDetails": {},
        "isSuccess": False,
        "requestId": uuid.uuid4().hex,
    }


def _zone_of(text: Any) -> datetime.tzinfo:
    """The offset at which the request was written, for the analyzer's local times."""
    try:
        moment = datetime.datetime.fromisoformat(text)
    except (TypeError, ValueError):
        moment = now()
    return moment.tzinfo or datetime.UTC


def _same(given: str, expected: str) -> bool:
    return hmac.compare_digest(given.encode("utf-8", "replace"), expected.encode())
