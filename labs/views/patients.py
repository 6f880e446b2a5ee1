from __future__ import annotations

from uuid import UUID, uuid4

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.http import urlencode
from django.views.decorators.http import require_GET, require_http_methods

from labs.errors import LabError, SentBefore
from labs.forms.fields import FormKey
from labs.forms.registry import PatientForm
from labs.models import EmergencyCode, LabRequest, Patient, TestRun
from labs.queries.orders.request_page import called
from labs.queries.paging import page_number
from labs.queries.registry.duplicates import Duplicate, duplicates
from labs.queries.registry.merging import merges_of
from labs.queries.registry.patients import patient_page, search, with_weight
from labs.services.reviews import viewing
from labs.views.access import StaffRequest, load, staff_required


@require_GET
@staff_required
def index(request: StaffRequest) -> HttpResponse:
    text = request.GET.get("q", "").strip()
    rows = Patient.objects.for_user(request.user).filter(clinic=request.clinic)
    context = {
        "page": search(request.clinic.pk, rows, text, page_number(request.GET.get("page"))),
        "text": text,
    }
    template = "labs/patients_live.html" if request.htmx else "labs/patients.html"
    return render(request, template, context)


@require_GET
@staff_required
def find(request: StaffRequest) -> HttpResponse:
    """The search field of every page: a request's id or a patient's own id opens it, and anything
    else is looked for among the patients. A scanned code only ever searches."""
    text = request.GET.get("q", "").strip()
    found = called(LabRequest.objects.for_user(request.user), text)
    if found is not None:
        return redirect("labs:request", lab_report_id=found.lab_report_id)
    return redirect(f"{reverse('labs:patients')}?{urlencode({'q': text})}")


@require_GET
@staff_required
def page(request: StaffRequest, uuid: UUID) -> HttpResponse:
    patient = load(
        request,
        with_weight(Patient.objects.for_user(request.user).select_related("owner", "clinic")),
        uuid=uuid,
    )
    at_desk = "unreviewed" not in request.rights
    shown = patient_page(patient, page_number(request.GET.get("page")), only_reviewed=at_desk)
    viewing.looked_at(acting_user=request.user, patient=patient, only_reviewed=at_desk)
    context = {"page": shown, "patient": patient, "merges": merges_of(patient)}
    return render(request, "labs/patient.html", context)


@require_http_methods(["GET", "POST"])
@staff_required
def new(request: StaffRequest) -> HttpResponse:
    form = PatientForm(request.POST or None, initial={"name": request.GET.get("name", "")})
    form_key = FormKey(request.POST).key() or uuid4()
    if request.method == "POST" and form.is_valid():
        if found := _on_file(request, form, form_key):
            return _new(request, form, form_key, found)
        try:
            patient = form.create(request.user, request.clinic, form_key)
        except SentBefore as error:
            form.add_error(None, error.message)
            form_key = uuid4()  # pressed once more, it is meant
        except LabError as error:
            form.add_error(None, error.message)
        else:
            messages.success(request, f"{patient} was added.")
            return redirect(_onward(request, patient))
    return _new(request, form, form_key, [])


def _new(
    request: StaffRequest, form: PatientForm, form_key: UUID, found: list[Duplicate]
) -> HttpResponse:
    context = {
        "form": form,
        "form_key": form_key,
        "patient": None,
        "duplicates": [(each, _onward(request, each.patient)) for each in found],
    }
    status = 422 if form.errors or found else 200
    return render(request, "labs/edit_patient.html", context, status=status)


def _on_file(request: StaffRequest, form: PatientForm, form_key: UUID) -> list[Duplicate]:
    """Whom it may be, unless whoever adds it was shown all of them. Of a form that was sent before
    nobody is asked: it added that animal itself."""
    if Patient.objects.filter(clinic=request.clinic, form_key=form_key).exists():
        return []
    found = duplicates(request.clinic, **form.identity(request.user, request.clinic))
    ruled_out = set(request.POST.getlist("ruled_out"))
    return found if any(str(each.patient.uuid) not in ruled_out for each in found) else []


def _onward(request: StaffRequest, patient: Patient) -> str:
    """The animal's page; or back to the emergency code that it was added for: whose that is, a
    person still says."""
    codes = EmergencyCode.objects.for_user(request.user).filter(clinic=request.clinic)
    named = request.GET.get("emergency", "").upper()
    if named and (code := codes.filter(code=named[:8]).first()):
        return f"{reverse('labs:emergency', args=[code])}?{urlencode({'q': patient.patient_id})}"
    return reverse("labs:patient", args=[patient.uuid])


@require_http_methods(["GET", "POST"])
@staff_required
def edit(request: StaffRequest, uuid: UUID) -> HttpResponse:
    patient = load(
        request,
        with_weight(Patient.objects.for_user(request.user).select_related("owner", "clinic")),
        uuid=uuid,
    )
    if patient.merged_into_id:
        return redirect("labs:patient", uuid=patient.uuid)
    form = PatientForm(request.POST or None, patient=patient)
    if request.method == "POST" and form.is_valid():
        was = patient.species
        try:
            changed = form.update(request.user, patient)
        except LabError as error:
            form.add_error(None, error.message)
        else:
            words = f"{patient} was changed.{_of_its_results(patient, was)}"
            messages.success(request, words if changed else f"Nothing was changed on {patient}.")
            return redirect("labs:patient", uuid=patient.uuid)
    context = {"form": form, "patient": patient}
    return render(request, "labs/edit_patient.html", context, status=422 if form.errors else 200)


def _of_its_results(patient: Patient, was: str) -> str:
    """What a corrected species means for what stands on the record already."""
    if patient.species == was or not TestRun.objects.filter(request__patient=patient).exists():
        return ""
    return (
        " Its results are held against the limits for its species now, and ranges that came for "
        "another one are struck through: look at them again."
    )
