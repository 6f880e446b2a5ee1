"""The laboratory's codes for a clinic's words, for its administrators."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_POST

from labs.errors import LabError
from labs.models import ClinicCode, CodeKind, Species
from labs.queries.orders.codes import codes_page
from labs.services.orders import codes
from labs.views.access import StaffRequest, load, right_required, staff_required

ONLY_ADMINISTRATORS = "Only an administrator of the clinic may change the laboratory's codes."


@require_GET
@staff_required
def index(request: StaffRequest) -> HttpResponse:
    right_required(request, "administer", ONLY_ADMINISTRATORS)
    context = {
        "page": codes_page(request.clinic),
        "kinds": [each for each in CodeKind.choices if each[0] != CodeKind.ANALYTE],
        "species": Species.choices,
    }
    return render(request, "labs/codes.html", context)


@require_POST
@staff_required
def assign(request: StaffRequest) -> HttpResponse:
    right_required(request, "administer", ONLY_ADMINISTRATORS)
    kind, word = request.POST.get("kind", ""), request.POST.get("word", "")
    try:
        own = codes.set_code(
            acting_user=request.user,
            clinic=request.clinic,
            kind=kind,
            word=word,
            species=request.POST.get("species", ""),
            code=request.POST.get("code", ""),
        )
    except LabError as error:
        messages.error(request, error.message)
    else:
        said = f"From now on “{own.word}” is {own.code}."
        if own.kind == CodeKind.ANALYTE:
            said += " Earlier results keep what they were read as, until they are read again."
        messages.success(request, said)
    return redirect("labs:codes")


@require_POST
@staff_required
def remove(request: StaffRequest, pk: int) -> HttpResponse:
    own = load(request, ClinicCode.objects.for_user(request.user).select_related("clinic"), pk=pk)
    right_required(request, "administer", ONLY_ADMINISTRATORS)
    codes.remove_code(acting_user=request.user, own=own)
    messages.success(request, f"“{own.word}” is no longer {own.code}.")
    return redirect("labs:codes")
