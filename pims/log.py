"""Logging: one line a record, with the id of the request or task it belongs to, to standard error.

Never a body, never a secret. The key in a result's address is a secret too, so addresses are logged
as their pattern, and what slips into a message all the same (a library's, a traceback's) is masked
on the way out.
"""

from __future__ import annotations

import contextvars
import logging
import re
import time
import uuid
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # the settings import this module, before Django is ready
    from django.http import HttpRequest, HttpResponse

current_id: contextvars.ContextVar[str] = contextvars.ContextVar("current_id", default="-")
access = logging.getLogger("pims.access")

SECRETS = re.compile(
    r"""(/api/\w+/ | \bbearer\s+
        | (?:client_?secret|access_?token|password|subscription-?key)["']?\s*[=:]\s*["']?)
        [^\s"'&,/]+""",
    re.IGNORECASE | re.VERBOSE,
)
# PostgreSQL's own words on a refused row, which are all of the row: an owner's name and phone.
DETAIL = re.compile(r"(DETAIL:)\s.*?(?=\n\n|\n[A-Z]+:|\Z)", re.DOTALL)
FOREIGN_ID = re.compile(r"[A-Za-z0-9-]{8,64}")


class OneLine(logging.Formatter):
    """Line ends are written as \\n: a value cannot pretend to be a record, and a traceback stays
    one.
    """

    def format(self, record: logging.LogRecord) -> str:
        record.id = current_id.get()
        text = DETAIL.sub(r"\1 ***", super().format(record))
        text = text.replace("\r", "\\r").replace("\n", "\\n")
        return SECRETS.sub(r"\1***", text)


def config(*, debug: bool) -> dict[str, Any]:
    """Django's LOGGING. `debug` adds our own packages' details, not SQL."""
    own = {"level": "DEBUG" if debug else "INFO"}
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "line": {
                "()": OneLine,
                "format": "%(asctime)s %(levelname)s %(name)s [%(id)s] %(message)s",
            }
        },
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
        "root": {"handlers": ["stderr"], "level": "INFO"},
        "loggers": {
            # Django's own handlers say everything twice, and mail it.
            "django": {"handlers": [], "level": "INFO", "propagate": True},
            # runserver's line for each request says what the access line says.
            "django.server": {"handlers": [], "level": "WARNING", "propagate": True},
            # 4xx are in the access line already.
            "django.request": {"level": "ERROR"},
            # "received" before each "succeeded".
            "celery.worker.strategy": {"level": "WARNING"},
            # "succeeded" for each look at what is due, every few seconds.
            "celery.app.trace": {"level": "WARNING"},
            "pims": own,
            "labs": own,
            "integrations": own,
        },
    }


class RequestLog:
    """Middleware: an id for the request, given back as X-Request-ID, and one line when it has been
    answered.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        given = request.headers.get("X-Request-ID", "")
        token = current_id.set(given if FOREIGN_ID.fullmatch(given) else uuid.uuid4().hex[:16])
        start = time.monotonic()
        try:
            response = self.get_response(request)
            response.headers["X-Request-ID"] = current_id.get()
            took = (time.monotonic() - start) * 1000
            # A poll without news, and a probe that went well, are not worth a line each.
            quiet = response.status_code == 204 or (
                request.path in {"/healthz", "/readyz"} and response.status_code == 200
            )
            level = logging.DEBUG if quiet else logging.INFO
            access.log(
                level,
                "%s /%s %s %.0fms",
                request.method,
                route(request),
                response.status_code,
                took,
            )
            return response
        finally:
            current_id.reset(token)


def route(request: HttpRequest) -> str:
    """The address's pattern, such as `api/labresults/<key>`; "?" for one that leads nowhere."""
    match = request.resolver_match
    return match.route if match else "?"
