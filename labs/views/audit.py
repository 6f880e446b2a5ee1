"""Who did what: for a clinic's administrators."""

from __future__ import annotations

from datetime import date

from django.http import HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

from labs.queries.paging import page_number
from labs.queries.records import audit as queries
from labs.services.events import record
from labs.views.access import StaffRequest, right_required, staff_required
from labs.views.attachments import safe

ONLY_ADMINISTRATORS = "Only an administrator of the clinic may read who did what."


@never_cache
@require_GET
@staff_required
def index(request: StaffRequest) -> HttpResponse:
    right_required(request, "administer", ONLY_ADMINISTRATORS)
    sought = _sought(request)
    context = {
        "audit": queries.audit(request.clinic, sought, page_number(request.GET.get("page"))),
        "sought": sought,
        "kinds": queries.KINDS,
        "today": timezone.localdate(),
    }
    return render(request, "labs/audit.html", context)


@require_GET
@staff_required
def export(request: StaffRequest) -> HttpResponse:
    right_required(request, "administer", ONLY_ADMINISTRATORS)
    body = queries.as_csv(request.clinic, _sought(request))
    record("audit.exported", clinic=request.clinic, acting_user=request.user)
    response = HttpResponse(body, content_type="text/csv; charset=utf-8")
    name = f"audit-{request.clinic.public_id}-{timezone.localdate()}.csv"
    return safe(response, name, inline=False)


def _sought(request: StaffRequest) -> queries.Sought:
    def text(name: str) -> str:
        return request.GET.get(name, "").strip()[:150]

    kind = text("kind")
    return queries.Sought(
        patient=text("patient"),
        person=text("person"),
        kind=kind if kind in queries.KINDS else "",
        first=_day(text("first")),
        last=_day(text("last")),
    )


def _day(text: str) -> date | None:
    try:
        found = date.fromisoformat(text)
    except ValueError:
        return None
    # A day whose neighbour is no date any more.
    return found if 1900 < found.year < 9999 else None
