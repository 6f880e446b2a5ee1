from __future__ import annotations

from uuid import UUID

from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from labs.models import Patient
from labs.queries.readings.trends import SPANS, trends
from labs.queries.registry.patients import with_weight
from labs.services.reviews import viewing
from labs.views.access import StaffRequest, load, staff_required


@require_GET
@staff_required
def page(request: StaffRequest, uuid: UUID) -> HttpResponse:
    """Any analytes of a patient over time: `?a=WBC&a=PLT&span=year`."""
    patient = load(
        request,
        with_weight(Patient.objects.for_user(request.user).select_related("owner", "clinic")),
        uuid=uuid,
    )
    codes = request.GET.getlist("a")[:200]
    span = request.GET.get("span", "")
    span = span if span in SPANS else ""
    at_desk = "unreviewed" not in request.rights
    shown = trends(patient, codes, span, only_reviewed=at_desk)
    viewing.looked_at(acting_user=request.user, patient=patient, only_reviewed=at_desk, trends=True)
    context = {
        "patient": patient,
        "page": shown,
        "codes": codes,
        "span": span,
        "spans": [("", "All"), ("year", "A year"), ("month", "A month")],
    }
    return render(request, "labs/trends.html", context)
