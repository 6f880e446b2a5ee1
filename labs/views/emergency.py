"""Emergency mode: a code now, the patient later."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_POST

from labs.errors import LabError
from labs.forms.fields import FormKey
from labs.models import EmergencyCode, Patient
from labs.queries.orders import emergency as queries
from labs.queries.registry.patients import search
from labs.services.orders import emergency, emergency_codes
from labs.views.access import StaffRequest, laboratory_required, load
from labs.views.ordering import HITS, as_uuid
from labs.views.polling import unchanged


@require_POST
@laboratory_required
def give(request: StaffRequest) -> HttpResponse:
    code = emergency_codes.give(
        acting_user=request.user,
        clinic=request.clinic,
        note=request.POST.get("note", ""),
        form_key=FormKey(request.POST).key(),
    )
    return redirect("labs:emergency", code=code.code)


@require_GET
@laboratory_required
def page(request: StaffRequest, code: str) -> HttpResponse:
    """The code, large; what came under it; and whose it is."""
    (shown,) = queries.emergencies([_code(request, code, queries.rows())])
    if unchanged(request, shown.version):
        return HttpResponse(status=204)
    context: dict[str, Any] = {"emergency": shown}
    if not request.htmx:
        context |= _hits(request)
    template = "labs/emergency_live.html" if request.htmx else "labs/emergency.html"
    return render(request, template, context)


@require_GET
@laboratory_required
def typeahead(request: StaffRequest, code: str) -> HttpResponse:
    context = {"code": _code(request, code, EmergencyCode.objects.all()), **_hits(request)}
    return render(request, "labs/emergency_hits.html", context)


@require_POST
@laboratory_required
def choose(request: StaffRequest, code: str) -> HttpResponse:
    found = _code(request, code, queries.rows())
    patient = load(
        request,
        Patient.objects.for_user(request.user).filter(clinic=found.clinic).select_related("owner"),
        uuid=as_uuid(request.POST.get("patient", "")),
    )
    try:
        filed, left = emergency.choose(acting_user=request.user, code=found, patient=patient)
    except LabError as error:
        messages.error(request, error.message)
    else:
        if filed:
            results = "1 result is" if filed == 1 else f"{filed} results are"
            messages.success(request, f"{results} now on {patient.name}'s record, to be reviewed.")
        else:
            messages.success(
                request, f"Results with code {found} go to {patient.name} as soon as they come."
            )
        if left:
            some = "1 result with this code waits" if left == 1 else f"{left} with this code wait"
            messages.warning(request, f"{some} for a person: something speaks against it.")
    return redirect("labs:emergency", code=code)


@require_POST
@laboratory_required
def close(request: StaffRequest, code: str) -> HttpResponse:
    found = _code(request, code, EmergencyCode.objects.select_related("clinic"))
    emergency_codes.close(acting_user=request.user, code=found)
    messages.success(request, f"Code {found} is closed and will never be used again.")
    return redirect("labs:worklist")


def _code(request: StaffRequest, code: str, rows: Any) -> EmergencyCode:
    """Of the clinic that the person works for now: two clinics may have had the same code."""
    found: EmergencyCode = load(
        request, rows.for_user(request.user).filter(clinic=request.clinic), code=code.upper()
    )
    return found


def _hits(request: StaffRequest) -> dict[str, object]:
    text = request.GET.get("q", "").strip()
    if not text:
        return {"hits": [], "text": ""}
    rows = Patient.objects.for_user(request.user).filter(clinic=request.clinic, deceased=False)
    return {"hits": search(request.clinic.pk, rows, text, 1, HITS).rows, "text": text}
