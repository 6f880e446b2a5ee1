"""What nobody has acknowledged yet, for everybody who may see results before a vet has."""

from __future__ import annotations

from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_POST

from labs.errors import LabError
from labs.models import Alarm
from labs.queries.reviews.alarms import alarms_page
from labs.services.reviews import alarms, escalation
from labs.views.access import StaffRequest, laboratory_required, load
from labs.views.numbers import number


@require_GET
@laboratory_required
def index(request: StaffRequest) -> HttpResponse:
    return render(request, "labs/alarms.html", {"page": alarms_page(request.clinic)})


@require_POST
@laboratory_required
def acknowledge(request: StaffRequest, uuid: UUID) -> HttpResponse:
    alarm = load(
        request,
        Alarm.objects.for_user(request.user).select_related(
            "clinic", "run__request__patient", "run__unmatched"
        ),
        uuid=uuid,
    )
    try:
        alarms.acknowledge(
            acting_user=request.user,
            alarm=alarm,
            expected_result=number(request.POST.get("result", "")),
            note=request.POST.get("note", "").strip()[:1000],
        )
    except LabError as error:
        messages.error(request, error.message)
    else:
        messages.success(request, "Acknowledged, in your name. Nobody is told of it any more.")
    lab_request = alarm.run.request
    if lab_request is not None and request.POST.get("back") == "request":
        return redirect("labs:request", lab_report_id=lab_request.lab_report_id)
    return redirect("labs:alarms")


@require_POST
@laboratory_required
def duty(request: StaffRequest) -> HttpResponse:
    """Who is on duty from now on."""
    chosen = request.POST.get("vet", "")
    vets = escalation.vets_of(request.clinic).select_related("user")
    place = vets.filter(user=number(chosen)).first() if chosen else None
    vet = place.user if place else None
    try:
        if chosen and vet is None:
            raise escalation.not_a_vet()
        escalation.set_duty_vet(acting_user=request.user, clinic=request.clinic, vet=vet)
    except LabError as error:
        messages.error(request, error.message)
    else:
        name = (vet.get_full_name() or vet.get_username()) if vet else "Nobody"
        messages.success(request, f"{name} is on duty.")
    return redirect("labs:alarms")
