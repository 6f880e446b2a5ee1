from __future__ import annotations

from uuid import UUID, uuid4

from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_GET, require_http_methods

from labs.errors import LabError, SentBefore
from labs.forms.fields import FormKey
from labs.forms.orders import RequestForm
from labs.models import LabRequest, Patient
from labs.queries.orders import ordering as queries
from labs.queries.orders.codes import sent_as
from labs.queries.registry.patients import search, with_weight
from labs.services.orders import ordering
from labs.services.registry import patients
from labs.views.access import StaffRequest, laboratory_required, load

HITS = 8


@require_http_methods(["GET", "POST"])
@laboratory_required
def new(request: StaffRequest) -> HttpResponse:
    """Order tests: first the patient, then the rest on one page."""
    uuid = request.POST.get("patient") or request.GET.get("patient")
    if not uuid:
        return render(request, "labs/choose_patient.html", _hits(request))
    patient = load(
        request,
        with_weight(Patient.objects.for_user(request.user).select_related("owner", "clinic")),
        uuid=as_uuid(uuid),
    )
    if patient.merged_into_id and request.method != "POST":
        return redirect("labs:patient", uuid=patient.uuid)
    beside = _beside(request, patient)
    tiles = queries.tiles(patient)
    form = RequestForm(
        request.POST or None,
        panels=tiles.panels,
        user=request.user,
        clinic=request.clinic,
        beside=beside,
        initial={"panels": request.GET.getlist("panels")},
    )
    form_key = FormKey(request.POST).key() or uuid4()
    if request.method == "POST" and form.is_valid():
        try:
            _weigh(request, patient, form)
            placed = ordering.place_request(
                acting_user=request.user,
                patient=patient,
                beside=beside,
                form_key=form_key,
                **form.order(),
            )
        except SentBefore as error:
            form.add_error(None, error.message)
            form_key = uuid4()  # pressed once more, it is meant
        except LabError as error:
            form.add_error(None, error.message)
        else:
            return redirect("labs:request", lab_report_id=placed.lab_report_id)
    context = {
        "form": form,
        "form_key": form_key,
        "patient": patient,
        "tiles": tiles,
        "first_group": queries.FIRST,
        "sent": sent_as(patient),
        "beside": beside,
        "weight_is_old": queries.weight_is_old(patient, timezone.localdate()),
        "label_key": queries.label_key(form["label"].value() or ""),
    }
    return render(request, "labs/new_request.html", context, status=422 if form.errors else 200)


def _weigh(request: StaffRequest, patient: Patient, form: RequestForm) -> None:
    """Raises InvalidInput."""
    kg = form.cleaned_data["weight_kg"]
    if kg is not None:
        patients.record_weight(
            acting_user=request.user,
            patient=patient,
            kg=kg,
            measured_on=timezone.localdate(),
            weighed=True,
        )


@require_GET
@laboratory_required
def typeahead(request: StaffRequest) -> HttpResponse:
    """The patients that fit what was typed so far."""
    return render(request, "labs/choose_patient_hits.html", _hits(request))


def _beside(request: StaffRequest, patient: Patient) -> LabRequest | None:
    """The request to which these tests are added, if they are."""
    named = request.POST.get("beside") or request.GET.get("beside")
    if not named:
        return None
    rows = LabRequest.objects.for_user(request.user).filter(patient=patient)
    found: LabRequest = load(
        request,
        rows.select_related("first").prefetch_related("specimen_set"),
        lab_report_id=named,
    )
    return found


def _hits(request: StaffRequest) -> dict[str, object]:
    text = request.GET.get("q", "").strip()
    rows = Patient.objects.for_user(request.user).filter(clinic=request.clinic)
    if not text:
        return {"hits": queries.recent_patients(request.clinic, rows, HITS), "text": ""}
    return {
        "hits": search(request.clinic.pk, rows.filter(deceased=False), text, 1, HITS).rows,
        "text": text,
    }


def as_uuid(text: str) -> UUID:
    """What is no UUID names nobody."""
    try:
        return UUID(text)
    except ValueError:
        return UUID(int=0)
