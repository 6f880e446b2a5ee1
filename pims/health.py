"""Two answers for whoever watches the process: it lives, and it can do its work."""

from __future__ import annotations

import logging
import re
import time

from django.db import Error, connection, transaction
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from labs import ids
from pims.problems import problem

log = logging.getLogger(__name__)
NONCE = re.compile(r"[0-9a-f]{32}")
FRESH = 1.0  # seconds for which a success is believed, so that nobody can make us write all day
_succeeded_at = float("-inf")


@never_cache
@require_safe
def healthz(request: HttpRequest) -> HttpResponse:
    """200 while the process answers at all; touches nothing. `?nonce=` is answered with a proof
    that this installation answers, and not another one or a proxy's page."""
    said = {"status": "ok"}
    nonce = request.GET.get("nonce", "")
    if NONCE.fullmatch(nonce):
        said["proof"] = ids.proof(nonce)
    return JsonResponse(said)


@never_cache
@require_safe
def readyz(request: HttpRequest) -> HttpResponse:
    """200 when a row can be committed, else 503. A full disk or a read-only database still reads
    well, so it writes.
    """
    global _succeeded_at
    if time.monotonic() - _succeeded_at > FRESH:
        try:
            commit_a_row()
        except Error as error:
            log.error("not ready: %s", error)
            return problem(
                503, "No row can be committed", code="not-ready", headers={"Retry-After": "30"}
            )
        _succeeded_at = time.monotonic()
    return JsonResponse({"status": "ok"})


def commit_a_row() -> None:
    """Commit one durable row that says the same before and after. Raises django.db.Error.

    The first row of Django's record of migrations is the one row that every installation has, so
    that no table is needed for this alone.
    """
    with transaction.atomic(durable=True), connection.cursor() as cursor:
        cursor.execute(
            "UPDATE django_migrations SET name = name "
            "WHERE id = (SELECT MIN(id) FROM django_migrations)"
        )
        if cursor.rowcount != 1:
            raise Error("the database has not been migrated")
