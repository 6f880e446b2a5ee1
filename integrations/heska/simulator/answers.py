"""What a fault puts in the place of Heska's answer (contract, example 05). Pure."""

from __future__ import annotations

import datetime
import email.utils
import json
import uuid
from typing import Any

from .exchange import Answer, json_answer
from .rules import Rule

MISSING_KEY = (
    "Access denied due to missing subscription key. "
    "Make sure to include subscription key when making requests to an API."
)
INVALID_KEY = (
    "Access denied due to invalid subscription key. "
    "Make sure to provide a valid key for an active subscription."
)
PAGE = "<html><body><h1>Service Unavailable</h1><p>proxy-17</p></body></html>"


def key_refused(text: str) -> Answer:
    """The gateway's 401 for a subscription key."""
    return json_answer(401, {"statusCode": 401, "message": text})


def token_refused() -> Answer:
    """The backend's 401 for a bearer token."""
    return json_answer(
        401,
        {
            "type": "https://www.rfc-editor.org/rfc/rfc9110.html#status.401",
            "message": "Access token is missing.",
            "status": 401,
            "errorDetails": {},
            "isSuccess": False,
            "requestId": uuid.uuid4().hex,
        },
    )


def credentials_refused() -> Answer:
    """The 401 for client id and secret."""
    return Answer(401, b"Invalid User or Password", "text/plain")


def not_found() -> Answer:
    """The gateway's 404."""
    return json_answer(404, {"statusCode": 404, "message": "Resource not found"})


def invalid(status: int, errors: dict[str, list[str]]) -> Answer:
    """A validation problem, by field."""
    return json_answer(
        status,
        {
            "type": "https://tools.ietf.org/html/rfc9110#section-15.5.1",
            "title": "One or more validation errors occurred.",
            "status": status,
            "errors": errors,
            "traceId": f"00-{uuid.uuid4().hex}-{uuid.uuid4().hex[:16]}-00",
        },
    )


def already_there(lab_report_id: str, heska_report_id: str) -> Answer:
    """The 409 for a request that was taken before."""
    return json_answer(
        409,
        {
            "Code": "DUPLICATE_LAB_REPORT",
            "Message": f"LabReportId {lab_report_id} already exists",
            "HeskaReportId": heska_report_id,
        },
    )


def in_place_of(
    rule: Rule, genuine: Answer | None, lab_report_id: str, now: datetime.datetime
) -> Answer:
    """What is sent under this rule; `genuine` is Heska's own answer, None where the call was kept
    from it."""
    options = rule.options
    status = options.get("status", 200)
    wait = _retry_after(options.get("retry_after"), now)
    match rule.do:
        case "missing_key":
            return key_refused(MISSING_KEY)
        case "invalid_key":
            return key_refused(INVALID_KEY)
        case "stale_token":
            return token_refused()
        case "wrong_credentials":
            return credentials_refused()
        case "quota":
            said = "Out of call volume quota. Quota will be replenished in 00:10:00."
            return json_answer(403, {"statusCode": 403, "message": said}, wait)
        case "not_found":
            return not_found()
        case "refused":
            return _refused(status, options["shape"], lab_report_id)
        case "already_there":
            return already_there(lab_report_id, _report_id(genuine) or "94877")
        case "busy":
            said = "Rate limit is exceeded. Try again in 11 seconds."
            return json_answer(429, {"statusCode": 429, "message": said}, wait)
        case "unavailable":
            body = {"StatusCode": status, "ErrorMessage": "Internal server error"}
            return json_answer(status, body, wait)
        case "html":
            return Answer(status, PAGE.encode(), "text/html")
        case "empty":
            return Answer(status)
        case "garbled":
            return Answer(status, b'{"HeskaReportId": "94877", "Sta')
        case "wrong_id":
            body = {"LabReportId": "VL-OTHER", "HeskaReportId": "1", "Status": "Accepted"}
            return json_answer(200, body | {"Tests": []})
        case "huge":
            filler = "x" * (int(options["megabytes"]) * 1024 * 1024)
            return json_answer(200, {"LabReportId": lab_report_id, "Comment": filler})
        case "redirect":
            return Answer(status, headers=(("Location", options["to"]),))
    # A fault of the connection: what it spoils is Heska's answer, or that of something before it.
    return genuine or json_answer(503, {"StatusCode": 503, "ErrorMessage": "Service Unavailable"})


def _refused(status: int, shape: str, lab_report_id: str) -> Answer:
    if shape == "problem":
        return invalid(status, {"Patient.Species": ["The Species field is required."]})
    if shape == "text":
        return json_answer(status, "TestCode:ZZZ is not valid")
    if shape == "plain":
        return Answer(status, f"{lab_report_id}: not accepted".encode(), "text/plain")
    value: dict[str, Any] = {"Data": None, "StatusCode": 0, "HttpStatusCode": status}
    value |= {"Message": "Invalid BreedId 370", "InnerExceptionMessage": "", "Error": None}
    return json_answer(
        status, {"value": value, "statusCode": status, "contentType": "application/json"}
    )


def _report_id(genuine: Answer | None) -> str:
    try:
        data: Any = json.loads(genuine.body) if genuine else None
    except ValueError:
        return ""
    return str(data.get("HeskaReportId") or "") if isinstance(data, dict) else ""


def _retry_after(text: str | None, now: datetime.datetime) -> tuple[tuple[str, str], ...]:
    if text is None:
        return ()
    start, _, seconds = text.partition("+")
    if start == "date" and seconds.isdecimal():
        moment = now + datetime.timedelta(seconds=int(seconds))
        text = email.utils.format_datetime(moment, usegmt=True)
    return (("Retry-After", text),)
