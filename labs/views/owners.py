"""An owner and the animals; a litter; and that an animal has died."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from labs.errors import LabError, SentBefore
from labs.forms.fields import FormKey
from labs.forms.registry import DeceasedForm, LitterForm, OwnerForm
from labs.models import Owner, Patient
from labs.queries.registry.patients import animals_of
from labs.services.registry import litters, patients
from labs.views.access import StaffRequest, load, staff_required


def _owner(request: StaffRequest, uuid: UUID) -> Owner:
    rows: Any = Owner.objects.for_user(request.user).select_related("clinic")
    found: Owner = load(request, rows, uuid=uuid)
    return found


@require_GET
@staff_required
def page(request: StaffRequest, uuid: UUID) -> HttpResponse:
    owner = _owner(request, uuid)
    return render(request, "labs/owner.html", {"owner": owner, "animals": animals_of(owner)})


@require_http_methods(["GET", "HEAD", "POST"])
@staff_required
def edit(request: StaffRequest, uuid: UUID) -> HttpResponse:
    owner = _owner(request, uuid)
    initial = {name: getattr(owner, name) for name in OwnerForm.base_fields}
    form = OwnerForm(request.POST or None, initial=initial)
    if request.method == "POST" and form.is_valid():
        try:
            patients.update_owner(acting_user=request.user, owner=owner, **form.changed())
        except LabError as error:
            form.add_error(None, error.message)
        else:
            messages.success(request, f"{owner} was changed.")
            return redirect("labs:owner", uuid=uuid)
    context = {"form": form, "owner": owner}
    return render(request, "labs/edit_owner.html", context, status=422 if form.errors else 200)


@require_http_methods(["GET", "HEAD", "POST"])
@staff_required
def litter(request: StaffRequest, uuid: UUID) -> HttpResponse:
    """Animals without names yet, in one step; then each is ordered for from the owner's page."""
    owner = _owner(request, uuid)
    form = LitterForm(request.POST or None, initial={"stem": "Pup"})
    form_key = FormKey(request.POST).key() or uuid4()
    if request.method == "POST" and form.is_valid():
        try:
            made = litters.add_litter(
                acting_user=request.user,
                clinic=owner.clinic,
                owner=owner,
                form_key=form_key,
                **form.cleaned_data,
            )
        except SentBefore as error:
            form.add_error(None, error.message)
            form_key = uuid4()  # pressed once more, it is meant
        except LabError as error:
            form.add_error(None, error.message)
        else:
            some = "1 animal was added" if len(made) == 1 else f"{len(made)} animals were added"
            messages.success(request, f"{some}, each with an id. Order for them below.")
            return redirect("labs:owner", uuid=uuid)
    context = {"form": form, "form_key": form_key, "owner": owner}
    return render(request, "labs/litter.html", context, status=422 if form.errors else 200)


@require_POST
@staff_required
def deceased(request: StaffRequest, uuid: UUID) -> HttpResponse:
    """With its date, or that it lives after all."""
    rows: Any = Patient.objects.for_user(request.user).select_related("clinic", "owner")
    patient: Patient = load(request, rows, uuid=uuid)
    form = DeceasedForm(request.POST, patient=patient)
    if not form.is_valid():
        messages.error(request, str(form.errors["deceased_on"][0]))
        return redirect("labs:patient", uuid=uuid)
    died = "alive" not in request.POST
    day = form.cleaned_data["deceased_on"] if died else None
    try:
        patients.update_patient(
            acting_user=request.user, patient=patient, deceased=died, deceased_on=day
        )
    except LabError as error:
        messages.error(request, error.message)
    else:
        messages.success(
            request,
            f"{patient} is recorded as deceased. It can be taken back below."
            if died
            else f"{patient} is recorded as alive.",
        )
    return redirect("labs:patient", uuid=uuid)
