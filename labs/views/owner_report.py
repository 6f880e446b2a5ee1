"""The report for the owner: look at it, print it, e-mail it."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_POST

from labs.errors import InvalidInput, LabError
from labs.models import ClinicLogo, LabRequest
from labs.queries.orders.request_page import all_reviewed, heads
from labs.queries.readings.owner_report import given, report
from labs.queries.readings.results import results_of
from labs.queries.readings.run_view import Results
from labs.services.reviews import owner_report, viewing
from labs.views.access import StaffRequest, load, staff_required
from labs.views.attachments import safe
from labs.views.numbers import number
from labs.views.requests import NOT_REVIEWED


def _at_desk(request: StaffRequest) -> bool:
    return "unreviewed" not in request.rights


def _load(request: StaffRequest, lab_report_id: str) -> Any:
    lab_request = load(request, heads().for_user(request.user), lab_report_id=lab_report_id)
    if _at_desk(request) and not all_reviewed(lab_request):
        raise PermissionDenied(NOT_REVIEWED)
    patient = lab_request.patient
    patient.weight_kg, patient.weighed_on = lab_request.weight_kg, lab_request.weighed_on
    patient.merged_words = lab_request.merged_words
    return lab_request


def _results(request: StaffRequest, lab_request: LabRequest) -> Results:
    """At the front desk no earlier value that nobody has reviewed either."""
    return results_of(lab_request, only_reviewed=_at_desk(request))


@require_GET
@staff_required
def page(request: StaffRequest, lab_report_id: str) -> HttpResponse:
    lab_request = _load(request, lab_report_id)
    results = _results(request, lab_request)
    if results.runs:
        viewing.viewed(acting_user=request.user, request=lab_request)
    context = {
        "lab_request": lab_request,
        "patient": lab_request.patient,
        "report": report(lab_request, request.user, results),
        "given": given(lab_request, results),
    }
    return render(request, "labs/owner_report.html", context)


@require_POST
@staff_required
def as_pdf(request: StaffRequest, lab_report_id: str) -> HttpResponse:
    """A POST, since it is noted who took it."""
    lab_request = _load(request, lab_report_id)
    made = report(lab_request, request.user, _results(request, lab_request))
    try:
        if not made.results:
            raise InvalidInput("There are no results to print yet.")
        content = made.as_pdf()
        owner_report.printed(acting_user=request.user, request=lab_request, results=made.results)
    except LabError as error:
        messages.error(request, error.message)
        return redirect("labs:owner_report", lab_report_id=lab_report_id)
    response = HttpResponse(content, content_type="application/pdf")
    return safe(response, f"{lab_report_id}.pdf", inline=True)


@require_POST
@staff_required
def send(request: StaffRequest, lab_report_id: str) -> HttpResponse:
    lab_request = _load(request, lab_report_id)
    made = report(lab_request, request.user, _results(request, lab_request))
    try:
        if request.POST.get("confirmed") != "1":
            raise InvalidInput("Read the address and tick that it is the owner's.")
        owner_report.send(
            acting_user=request.user,
            request=lab_request,
            content=made.as_pdf(),
            results=made.results,
            address=request.POST.get("address", ""),
            expected_version=number(request.POST.get("version", "")),
        )
    except LabError as error:
        messages.error(request, error.message)
        return redirect("labs:owner_report", lab_report_id=lab_report_id)
    messages.success(request, f"The report was sent to {lab_request.patient.owner}.")
    return redirect("labs:request", lab_report_id=lab_report_id)


@require_POST
@staff_required
def told(request: StaffRequest, lab_report_id: str) -> HttpResponse:
    """An owner who has an earlier report was told."""
    lab_request = _load(request, lab_report_id)
    shown = given(lab_request, _results(request, lab_request))
    asked = request.POST.get("key", "")
    found = next((each for each in shown.outdated if each.key == asked), None)
    try:
        if found is None:
            raise InvalidInput("Nobody of that name has an earlier report: it was dealt with.")
        patient, owner = map(int, found.key.split("-"))
        owner_report.told(
            acting_user=request.user,
            request=lab_request,
            patient=patient,
            owner=owner,
            results=shown.current,
        )
    except LabError as error:
        messages.error(request, error.message)
    else:
        messages.success(request, f"Noted: {found.who} was told.")
    return redirect("labs:request", lab_report_id=lab_report_id)


@require_GET
@staff_required
def logo(request: StaffRequest) -> HttpResponse:
    """Of the session's clinic."""
    row = load(request, ClinicLogo.objects.for_user(request.user), clinic=request.clinic)
    return safe(HttpResponse(bytes(row.content), content_type="image/png"), "logo.png", inline=True)
