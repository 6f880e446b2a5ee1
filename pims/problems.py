"""Every error of an API is application/problem+json (RFC 9457), whoever raises it: Django, DRF, the
domain.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

from django.core.exceptions import PermissionDenied, RequestDataTooBig
from django.db import InterfaceError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.views import defaults
from rest_framework import exceptions
from rest_framework.response import Response
from rest_framework.views import set_rollback

from labs.errors import InvalidInput, LabError, NotAllowed, Stale

CONTENT_TYPE = "application/problem+json"
TRY_LATER = {"Retry-After": "30"}
LAB_STATUS: dict[type[LabError], int] = {InvalidInput: 422, NotAllowed: 403, Stale: 409}


def problem_body(status: int, title: str, *, code: str, detail: str = "") -> dict[str, Any]:
    """`code` is for programs and stable; `title` and `detail` are for people."""
    body: dict[str, Any] = {"type": f"about:blank#{code}", "title": title, "status": status}
    return body | ({"detail": detail} if detail else {})


def problem(
    status: int,
    title: str,
    *,
    code: str,
    detail: str = "",
    headers: Mapping[str, str] | None = None,
) -> JsonResponse:
    """A problem as a plain Django response."""
    body = problem_body(status, title, code=code, detail=detail)
    return JsonResponse(body, status=status, content_type=CONTENT_TYPE, headers=dict(headers or {}))


def exception_handler(exc: Exception, context: Mapping[str, Any]) -> Response | None:
    """DRF's hook. None for what nobody foresaw: Django then logs it and calls `server_error`."""
    headers: dict[str, str] = {}
    extra: dict[str, Any] = {}
    if isinstance(exc, Http404):
        exc = exceptions.NotFound()
    elif isinstance(exc, PermissionDenied):
        exc = exceptions.PermissionDenied()
    if isinstance(exc, RequestDataTooBig):
        body = problem_body(413, "The body is over the limit", code="too-large")
    elif isinstance(exc, LabError):
        status = next((s for kind, s in LAB_STATUS.items() if isinstance(exc, kind)), 400)
        body = problem_body(status, exc.message, code=exc.code.replace("_", "-"))
    elif isinstance(exc, OperationalError | InterfaceError):
        body, headers = problem_body(503, "Not stored; send again", code="try-later"), TRY_LATER
    elif isinstance(exc, exceptions.APIException):
        body = _of_api_exception(exc)
        headers = _headers_of(exc)
        if isinstance(exc, exceptions.ValidationError):
            extra = {"errors": exc.detail}
    else:
        return None
    set_rollback()
    return Response(body | extra, status=body["status"], headers=headers, content_type=CONTENT_TYPE)


def _of_api_exception(exc: exceptions.APIException) -> dict[str, Any]:
    title = str(exc.default_detail).rstrip(".")
    code = str(exc.default_code)
    detail = ""
    if isinstance(exc.detail, str):
        code = str(getattr(exc.detail, "code", code))
        detail = str(exc.detail) if str(exc.detail) != str(exc.default_detail) else ""
    return problem_body(exc.status_code, title, code=code.replace("_", "-"), detail=detail)


def _headers_of(exc: exceptions.APIException) -> dict[str, str]:
    headers = {}
    if auth_header := getattr(exc, "auth_header", None):
        headers["WWW-Authenticate"] = auth_header
    if (wait := getattr(exc, "wait", None)) is not None:
        headers["Retry-After"] = str(max(1, round(wait)))
    return headers


def is_api(request: HttpRequest) -> bool:
    return request.path.startswith("/api/")


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """handler400. Django calls a body over its limit a bad request; it has a status of its own."""
    if not is_api(request):
        return defaults.bad_request(request, exception)
    if isinstance(exception, RequestDataTooBig):
        return problem(413, "The body is over the limit", code="too-large")
    return problem(400, "The request cannot be read", code="bad-request")


def permission_denied(request: HttpRequest, exception: Exception) -> HttpResponse:
    """handler403."""
    if not is_api(request):
        return defaults.permission_denied(request, exception)
    return problem(403, "Not allowed", code="permission-denied")


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """handler404."""
    if not is_api(request):
        return defaults.page_not_found(request, exception)
    return problem(404, "Not found", code="not-found")


def server_error(request: HttpRequest) -> HttpResponse:
    """handler500. A database that does not answer is no fault of the program: 503, come again."""
    later = isinstance(sys.exc_info()[1], OperationalError | InterfaceError)
    if is_api(request):
        if later:
            return problem(503, "Not stored; send again", code="try-later", headers=TRY_LATER)
        return problem(500, "Something went wrong here; it has been logged", code="server-error")
    response = defaults.server_error(request)
    if later:
        response.status_code = 503
        response.headers["Retry-After"] = TRY_LATER["Retry-After"]
    return response
