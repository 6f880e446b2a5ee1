"""Heska's way in: token, results, unmatched results (contract, "Inbound").

The order of things is the promise: authenticate, cap, store and commit, then read. A 2xx is only
ever answered after the bytes are durably in the journal (I1).
"""

from __future__ import annotations

import base64
import binascii
import json
import logging
from typing import Any, cast
from urllib.parse import unquote_plus, urlencode

from django.conf import settings
from django.db import DatabaseError, ProgrammingError
from django.http import (
    HttpRequest,
    HttpResponse,
    JsonResponse,
    QueryDict,
    UnreadablePostError,
)
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST
from oauth2_provider.views import TokenView
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from integrations.heska import contacts, token_rate
from integrations.heska.conf import VENDOR
from integrations.heska.permissions import ApplicationRate, BearerAuthentication, MayPostResults
from integrations.heska.services import addresses, filing
from integrations.heska.wire import strict
from labs.failpoints import failpoint
from labs.models import Clinic, LabRequest, Message
from labs.services.intake import journal

log = logging.getLogger(__name__)

KEPT_OF_TOO_LARGE = 64 * 1024
KEPT_HEADERS = (
    "Content-Type",
    "Content-Encoding",
    "Content-Length",
    "User-Agent",
    "X-Request-Id",
)
MAX_TOKEN_REQUEST = 16 * 1024
JSON_TYPES = ("application/json", "text/json")


@csrf_exempt
@require_POST
def token(request: HttpRequest) -> HttpResponse:
    """RFC 6749, 4.4. Takes the credentials as form, JSON or HTTP Basic, `client_id` and `ClientId`
    alike, and hands django-oauth-toolkit the form that it understands."""
    fields = _token_fields(request)
    if fields is None:
        return JsonResponse({"error": "invalid_request"}, status=400)
    basic_id, basic_secret = _basic(request.headers.get("Authorization", ""))
    form = {
        "grant_type": fields.get("granttype", "client_credentials"),
        "client_id": basic_id or fields.get("clientid", ""),
        "client_secret": basic_secret or fields.get("clientsecret", ""),
    }
    if fields.get("scope"):
        form["scope"] = fields["scope"]
    # A NUL or a lone surrogate is in no credentials, and no database or encoding takes it.
    form = {name: strict.safe(value) for name, value in form.items()}
    request.META.pop("HTTP_AUTHORIZATION", None)
    request.META["CONTENT_TYPE"] = "application/x-www-form-urlencoded"
    request.POST = QueryDict(urlencode(form))

    def give() -> HttpResponse:
        response: HttpResponse = TokenView.as_view()(request)
        contacts.was_asked_for_token(form["client_id"], _oauth_error(response))
        return response

    return token_rate.limited(request, form["client_id"], give)


def _oauth_error(response: HttpResponse) -> str:
    """RFC 6749, 5.2; empty where it got a token."""
    if response.status_code < 400:
        return ""
    try:
        return str(json.loads(response.content).get("error", "") or response.status_code)
    except (ValueError, AttributeError):
        return str(response.status_code)


def _token_fields(request: HttpRequest) -> dict[str, str] | None:
    """Field names in lower case without underscores; None where the body is neither form nor
    JSON."""
    raw = request.read(MAX_TOKEN_REQUEST)
    if (request.content_type or "") in JSON_TYPES:
        try:
            body = strict.loads(raw)
        except (strict.NotJson, strict.Ambiguous):
            return None
        if not isinstance(body, dict):
            return None
        pairs = [(key, value) for key, value in body.items() if isinstance(value, str)]
    else:
        pairs = [(key, str(value)) for key, value in QueryDict(raw).items()]
    return {key.replace("_", "").lower(): value for key, value in pairs}


def _basic(header: str) -> tuple[str, str]:
    if not header.lower().startswith("basic "):
        return "", ""
    try:
        user, _, password = base64.b64decode(header[6:], validate=True).decode().partition(":")
    except (binascii.Error, ValueError):
        return "", ""
    return unquote_plus(user), unquote_plus(password)


def sender(request: Request) -> Any:
    """The OAuth application behind the token: a client-credentials token has no user."""
    return cast("Any", request.auth).application


class AlwaysJson(BaseContentNegotiation):
    """A result is not refused for what its sender would like the answer to look like: no 406 for
    an Accept header, no 404 for `?format=`."""

    def select_parser(self, request: Request, parsers: Any) -> Any:
        return parsers[0]

    def select_renderer(self, request: Request, renderers: Any, format_suffix: Any = None) -> Any:
        return renderers[0], renderers[0].media_type


class IntakeView(APIView):
    authentication_classes = (BearerAuthentication,)
    permission_classes = (MayPostResults,)
    throttle_classes = (ApplicationRate,)
    content_negotiation_class = AlwaysJson
    http_method_names = ["post"]

    def handle_exception(self, exc: Exception) -> Response:
        if isinstance(exc, DatabaseError):
            ours = isinstance(exc, ProgrammingError)  # a wrong statement is no matter of waiting
            log.error("Intake could not store: %s", type(exc).__name__, exc_info=ours)
            return problem(
                503,
                "try-later",
                "Not stored; send again",
                headers={"Retry-After": "30"},
            )
        if isinstance(exc, UnreadablePostError):
            return problem(400, "incomplete", "The body ended before its declared length")
        return super().handle_exception(exc)

    def intake(self, request: Request, named: Clinic | None, *, own_path: bool) -> Response:
        """`named`: the clinic of the address, if it is any. `own_path`: the address names a clinic,
        so a token of another one must not post there."""
        inbound_client = sender(request).inbound
        clinic = inbound_client.clinic or named
        body, size = _read(request._request)
        failpoint("received")
        message, new = journal.receive(
            vendor=VENDOR,
            clinic=clinic,
            sender=sender(request).client_id[:100],
            target=strict.safe(request.path_info).rstrip("/"),
            headers={
                name: strict.safe(request.headers[name])
                for name in KEPT_HEADERS
                if name in request.headers
            },
            raw=body,
            declared_size=size,
        )
        if size is not None:
            return self.refuse(message, 413, "too-large", "The body is over the limit")
        if own_path and inbound_client.clinic is not None and named != inbound_client.clinic:
            return self.refuse(message, 403, "clinic", "This token is not for that clinic")
        if unsupported := _unsupported(request):
            return self.refuse(message, 415, "media-type", unsupported)
        if not new and message.state not in ("received", "quarantined"):
            return _duplicate(message)
        reconsidered = not new and message.state == "quarantined"
        if reconsidered and not filing.reconsider(message):
            return _duplicate(message)
        if not new and not reconsidered and not journal.take_up(message.pk, early=True):
            # Its sender is impatient, and somebody is at it; or it was tried often enough.
            return _duplicate(message)
        return self.file(message, new=new, reconsidered=reconsidered)

    def refuse(self, message: Message, status: int, code: str, title: str) -> Response:
        if message.state == "received":
            journal.quarantine(message=message, cause=title)
        return problem(status, code, title, ReceiptId=message.receipt_id)

    def file(self, message: Message, *, new: bool, reconsidered: bool) -> Response:
        """`reconsidered`: it lay in quarantine. If it is filed now, "Duplicate" would say that it
        had been before."""
        try:
            receipts = filing.file_stored(message, seconds=filing.ARRAY_SECONDS)
        except strict.NotJson as error:
            return problem(
                400,
                "not-json",
                "The body is not JSON",
                detail=f"{error} The bytes were kept.",
                ReceiptId=message.receipt_id,
            )
        except Exception:
            # The bytes are committed: whatever happened since, they are ours now.
            log.exception("Filing %s failed", message.receipt_id)
            receipts = [filing.Receipt(receipt_id=message.receipt_id, status="Received")]
        failpoint("answering")
        stored = all(receipt.status == "Stored" for receipt in receipts)
        bodies = [{"ReceiptId": r.receipt_id, "Status": r.status} for r in receipts]
        several = receipts[0].receipt_id != message.receipt_id
        filed_now = reconsidered and not several and receipts[0].status != "Quarantined"
        if not new and not filed_now:
            bodies = [{**body, "Status": "Duplicate"} for body in bodies]
            return Response({"Receipts": bodies} if several else bodies[0], status=200)
        if several:
            return Response({"Receipts": bodies}, status=201 if stored else 202)
        return Response(bodies[0], status=201 if stored else 202)


class ResultView(IntakeView):
    def post(self, request: Request, key: str) -> Response:
        clinic = sender(request).inbound.clinic
        if clinic is None:
            key = strict.safe(key)
            found = LabRequest.objects.select_related("clinic").filter(result_key=key).first()
            clinic = found.clinic if found else None
        return self.intake(request, clinic, own_path=False)


class UnmatchedView(IntakeView):
    def post(self, request: Request, clinic_id: str) -> Response:
        own = sender(request).inbound.clinic
        name = strict.safe(clinic_id)
        # A clinic's token is asked about its clinic only: whether another one exists is not told
        # apart, not even by the time that it takes.
        if own is None:
            clinic = addresses.clinic_named(name, of=None)
        else:
            clinic = addresses.is_named(own, name)
        return self.intake(request, clinic, own_path=True)


def _duplicate(message: Message) -> Response:
    parts = list(message.parts.order_by("part"))
    if parts:
        receipts = [{"ReceiptId": part.receipt_id, "Status": "Duplicate"} for part in parts]
        return Response({"Receipts": receipts}, status=200)
    return Response({"ReceiptId": message.receipt_id, "Status": "Duplicate"}, status=200)


def _read(request: HttpRequest) -> tuple[bytes, int | None]:
    """The body, and None; or its first 64 KiB and its declared length where it is over the
    limit."""
    limit = settings.INTAKE_MAX_BYTES
    length = request.META.get("CONTENT_LENGTH") or "0"
    declared = int(length) if length.isdecimal() else 0
    if declared > limit:
        return request.read(KEPT_OF_TOO_LARGE), declared
    return request.read(limit), None


def _unsupported(request: Request) -> str:
    kind, _, parameters = (request.headers.get("Content-Type") or "application/json").partition(";")
    if kind.strip().lower() not in JSON_TYPES and not kind.strip().lower().endswith("+json"):
        return "Only application/json is read here"
    for parameter in parameters.split(";"):
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "charset" and value.strip(' "').lower() not in (
            "utf-8",
            "utf8",
        ):
            return "Only UTF-8 is read here"
    if request.headers.get("Content-Encoding", "identity").lower() != "identity":
        return "Compressed bodies are not read here"
    return ""


def problem(
    status: int,
    code: str,
    title: str,
    *,
    headers: dict[str, str] | None = None,
    **members: Any,
) -> Response:
    """RFC 9457, with the contract's `ReceiptId` where the bytes were kept."""
    body = {"type": f"about:blank#{code}", "title": title, "status": status, **members}
    return Response(body, status=status, headers=headers, content_type="application/problem+json")
