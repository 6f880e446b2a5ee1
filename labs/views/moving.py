"""A request that was made for the wrong animal: choose the right one, and move it there."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST

from labs.errors import InvalidInput, LabError
from labs.matching.reading import plain
from labs.models import LabRequest, Patient
from labs.queries.registry.patients import search, with_weight
from labs.services.orders import moving
from labs.services.reviews import viewing
from labs.views.access import StaffRequest, load, right_required, staff_required
from labs.views.numbers import number
from labs.views.ordering import HITS, as_uuid

NOT_ALLOWED = "Your role here does not move requests; ask a technician or a veterinarian."


@require_http_methods(["GET", "HEAD", "POST"])
@staff_required
def move(request: StaffRequest, lab_report_id: str) -> HttpResponse:
    """First the animal, then why."""
    lab_request = load(
        request,
        LabRequest.objects.for_user(request.user).select_related(
            "patient__owner", "patient__clinic", "clinic", "sent_for"
        ),
        lab_report_id=lab_report_id,
    )
    right_required(request, "match", NOT_ALLOWED)
    given = request.POST if request.method == "POST" else request.GET
    patient = None
    if named := given.get("patient", ""):
        patients = Patient.objects.for_user(request.user).filter(
            clinic=lab_request.clinic, is_test=False
        )
        patient = load(
            request, with_weight(patients.select_related("owner", "clinic")), uuid=as_uuid(named)
        )
    problem = ""
    if request.method == "POST" and patient is not None:
        try:
            said = _move(request, lab_request, patient)
        except LabError as error:
            lab_request.refresh_from_db()
            problem = error.message
        else:
            messages.success(request, said)
            return redirect("labs:request", lab_report_id=lab_report_id)
    text = request.GET.get("q", "").strip()
    rows = Patient.objects.for_user(request.user).filter(clinic=lab_request.clinic)
    context = {
        "lab_request": lab_request,
        "patient": patient,
        "page": search(lab_request.clinic_id, rows, text, 1, HITS) if text else None,
        "text": text,
        "problem": problem,
        "other_species": patient is not None and patient.species != lab_request.patient.species,
    }
    return render(request, "labs/move_request.html", context, status=422 if problem else 200)


def _move(request: StaffRequest, lab_request: LabRequest, patient: Patient) -> str:
    typed = request.POST.get("typed_name", "")
    differs = patient.species != lab_request.patient.species
    if (differs or patient.deceased) and plain(typed) != plain(patient.name):
        raise InvalidInput(f"Type the animal's name, {patient.name}, to move it all the same.")
    version = request.POST.get("version", "")
    return moving.move_request(
        acting_user=request.user,
        request=lab_request,
        patient=patient,
        expected_version=number(version),
        reason=request.POST.get("reason", "").strip(),
    )


@require_POST
@staff_required
def printed(request: StaffRequest, lab_report_id: str) -> HttpResponse:
    """Sent by the page when it is printed."""
    lab_request = load(
        request,
        LabRequest.objects.for_user(request.user).select_related("clinic", "patient"),
        lab_report_id=lab_report_id,
    )
    viewing.printed(acting_user=request.user, request=lab_request)
    return HttpResponse(status=204)
