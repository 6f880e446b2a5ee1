"""Critical limits, for the clinic's administrators."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_POST

from labs.errors import LabError
from labs.models import CriticalLimit, Species
from labs.queries.reviews.limits import limits_page
from labs.services.reviews import escalation, limits
from labs.views.access import StaffRequest, load, right_required, staff_required
from labs.views.numbers import number

ONLY_ADMINISTRATORS = "Only an administrator of the clinic may change its critical limits."


@require_GET
@staff_required
def index(request: StaffRequest) -> HttpResponse:
    right_required(request, "administer", ONLY_ADMINISTRATORS)
    context = {"page": limits_page(request.clinic), "species": Species.choices}
    return render(request, "labs/limits.html", context)


@require_POST
@staff_required
def assign(request: StaffRequest) -> HttpResponse:
    right_required(request, "administer", ONLY_ADMINISTRATORS)
    given = {
        name: request.POST.get(name, "") for name in ("analyte", "species", "unit", "low", "high")
    }
    try:
        own = limits.set_limit(acting_user=request.user, clinic=request.clinic, **given)
    except LabError as error:
        messages.error(request, error.message)
    else:
        said = f"below {own.low}" if own.low else ""
        said += " or " if own.low and own.high else ""
        said += f"above {own.high}" if own.high else ""
        messages.success(
            request,
            f"From now on {own.analyte.code} of a {Species(own.species).label.lower()} in "
            f"{own.unit or 'no unit'} is {f'critical {said}' if said else 'never critical'}.",
        )
    return redirect("labs:limits")


@require_POST
@staff_required
def remove(request: StaffRequest, pk: int) -> HttpResponse:
    rows = CriticalLimit.objects.for_user(request.user).select_related("clinic", "analyte")
    own = load(request, rows, pk=pk)
    right_required(request, "administer", ONLY_ADMINISTRATORS)
    limits.remove_limit(acting_user=request.user, own=own)
    messages.success(request, f"The clinic's own limit for {own.analyte.code} is gone.")
    return redirect("labs:limits")


@require_POST
@staff_required
def wait(request: StaffRequest) -> HttpResponse:
    """After how many minutes everybody is told."""
    right_required(request, "administer", ONLY_ADMINISTRATORS)
    minutes = number(request.POST.get("minutes", ""))
    try:
        escalation.set_wait(acting_user=request.user, clinic=request.clinic, minutes=minutes)
    except LabError as error:
        messages.error(request, error.message)
    else:
        messages.success(request, f"Everybody is told after {minutes} minutes.")
    return redirect("labs:limits")
