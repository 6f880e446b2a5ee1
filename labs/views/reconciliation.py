"""What fell through, and the bills."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_POST

from labs.errors import LabError
from labs.queries.overview.reconciliation import charges_csv, reconciliation
from labs.services.reviews import billing
from labs.views.access import StaffRequest, staff_required
from labs.views.attachments import safe


@require_GET
@staff_required
def page(request: StaffRequest) -> HttpResponse:
    found = reconciliation(request.clinic, at_desk="unreviewed" not in request.rights)
    return render(request, "labs/reconciliation.html", {"page": found})


@require_POST
@staff_required
def charge(request: StaffRequest) -> HttpResponse:
    """Mark the chosen requests as charged; `undo` takes it back."""
    undo = request.POST.get("undo") == "1"
    chosen = request.POST.getlist("request")
    try:
        count = billing.mark_charged(
            acting_user=request.user,
            clinic=request.clinic,
            lab_report_ids=[each for each in chosen if len(each) <= 20 and each.isprintable()],
            charged=not undo,
        )
    except LabError as error:
        messages.error(request, error.message)
    else:
        words = "taken back" if undo else "marked as charged"
        messages.success(request, f"{count} {'request' if count == 1 else 'requests'} {words}.")
    return redirect("labs:reconciliation")


@require_GET
@staff_required
def export(request: StaffRequest) -> HttpResponse:
    content, count = charges_csv(request.clinic)
    billing.exported(acting_user=request.user, clinic=request.clinic, count=count)
    return safe(HttpResponse(content, content_type="text/csv"), "not-charged.csv", inline=False)
