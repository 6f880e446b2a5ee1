"""From a request to its answer: the one list of everything that this program serves."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from . import answers, gateway, page, simulate
from .analyzers import Dcu
from .cloud import Cloud, Delivery, now
from .courier import Courier
from .exchange import Answer, Request, json_answer
from .faults import Faults
from .rules import Rule
from .script import Clinic

if TYPE_CHECKING:
    from .certificates import Certificates

logger = logging.getLogger(__name__)

_HTML_HEADERS = (
    (
        "Content-Security-Policy",
        "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none';"
        " frame-ancestors 'none'",
    ),
    ("Referrer-Policy", "same-origin"),
    ("Cache-Control", "no-store"),
)


@dataclass(frozen=True)
class App:
    """The running parts."""

    cloud: Cloud
    courier: Courier
    dcu: Dcu
    faults: Faults
    certificates: Callable[[], Certificates]


CALLS = {"/oauth/token": "token", "/labreports": "order"}


def answer(app: App, request: Request) -> Answer:
    """Answer a request; an error of ours becomes Heska's own 500."""
    try:
        return _answer(app, request)
    except Exception:
        logger.exception("%s %s", request.method, request.path)
        return json_answer(500, {"StatusCode": 500, "ErrorMessage": "Internal server error"})


def answer_or_fault(app: App, request: Request) -> tuple[Answer, Rule | None]:
    """The answer to a request, and the rule that acts on it, if one does."""
    on = CALLS.get(_path(request)) if request.method == "POST" else None
    if on is None or not app.faults:
        return answer(app, request), None
    event = gateway.event_of(app.cloud, request, on)
    rule = app.faults.choose(event)
    if rule is None:
        return answer(app, request), None
    genuine = answer(app, request) if rule.taken else None
    return answers.in_place_of(rule, genuine, event.lab_report_id, now()), rule


def _path(request: Request) -> str:
    return request.path.rstrip("/") or "/"


def _answer(app: App, request: Request) -> Answer:
    path = _path(request)
    if request.method == "POST" and path in CALLS:
        refusal = gateway.refused_key(app.cloud, request)
        if refusal:
            return refusal
        if path == "/oauth/token":
            return gateway.token(app.cloud, request)
        return gateway.submit(app.cloud, app.dcu, request)
    if request.method == "POST" and path.startswith("/simulate/"):
        return _simulate(app, path.removeprefix("/simulate/"), request)
    if request.method in ("GET", "HEAD"):
        return _show(app, path, request)
    return answers.not_found()


def _show(app: App, path: str, request: Request) -> Answer:
    if path == "/":
        return _page(app, watch="watch" in parse_qs(request.query, keep_blank_values=True))
    if path == "/state":
        return json_answer(200, _snapshot(app), (("Cache-Control", "no-store"),))
    if path == "/authority.pem":
        return Answer(200, app.certificates().authority, "application/x-pem-file")
    if path == "/style.css":
        return Answer(200, _style(), "text/css; charset=utf-8")
    if path.startswith("/messages/"):
        sent = app.cloud.sent(path.removeprefix("/messages/"))
        if sent:
            return Answer(200, sent.body)
    return answers.not_found()


def _snapshot(app: App) -> dict[str, Any]:
    return app.cloud.snapshot() | app.faults.snapshot()


def _simulate(app: App, what: str, request: Request) -> Answer:
    origin = request.headers.get("origin")
    if origin and urlsplit(origin).netloc != request.headers.get("host"):
        return json_answer(403, {"error": "This form was sent from another site."})
    wants_json = "application/json" in request.headers.get("accept", "")
    actions: dict[str, Callable[[dict[str, str]], Delivery | Clinic | dict[str, int]]] = {
        "orphan": functools.partial(simulate.orphan, app.cloud, app.courier),
        "resend": functools.partial(simulate.resend, app.cloud, app.courier),
        "correction": functools.partial(simulate.correct, app.cloud, app.courier),
        "cancellation": functools.partial(simulate.follow, app.cloud, app.courier, "cancelled"),
        "rerun": functools.partial(simulate.follow, app.cloud, app.courier, "run_again"),
        "clinic": functools.partial(simulate.add_clinic, app.cloud),
        "fault": functools.partial(simulate.set_fault, app.faults),
        "mend": functools.partial(simulate.mend, app.faults),
    }
    if what not in actions:
        return answers.not_found()
    form: dict[str, str] = {}
    try:
        form = request.form()
        done = actions[what](form)
    except ValueError as error:  # Refused, or a form with too many fields
        if wants_json:
            return json_answer(400, {"error": str(error)})
        return _page(app, status=400, error=str(error), form=form)
    if not wants_json:
        return Answer(303, content_type="text/plain", headers=(("Location", "/"),))
    if isinstance(done, Clinic):
        return json_answer(200, {"clinic_id": done.clinic_id})
    if isinstance(done, dict):
        return json_answer(200, done)
    return json_answer(200, simulate.outcome(done))


def _page(
    app: App,
    *,
    status: int = 200,
    watch: bool = False,
    error: str | None = None,
    form: dict[str, str] | None = None,
) -> Answer:
    html = page.render(_snapshot(app), watch=watch, error=error, form=form or {})
    return Answer(
        status, html.encode("utf-8", "replace"), "text/html; charset=utf-8", _HTML_HEADERS
    )


@functools.cache
def _style() -> bytes:
    return Path(__file__).with_name("style.css").read_bytes()
