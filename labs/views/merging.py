"""Two records of one animal: set beside each other, merged, and separated again."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from labs.errors import InvalidInput, LabError
from labs.matching.reading import plain
from labs.models import Merge, Patient
from labs.queries.registry.merging import Beside, beside, merge_page
from labs.queries.registry.patients import search, with_weight
from labs.services.registry import merging
from labs.views.access import StaffRequest, load, right_required, staff_required
from labs.views.match_act import STATUS
from labs.views.ordering import HITS, as_uuid

NOT_ALLOWED = (
    "Your role here does not merge records; ask a veterinarian or a clinic administrator. Until "
    "then nothing is lost: results stay on the record that they are on."
)


@require_http_methods(["GET", "HEAD", "POST"])
@staff_required
def merge(request: StaffRequest, uuid: UUID) -> HttpResponse:
    """First the other record, then both side by side."""
    rows = with_weight(Patient.objects.for_user(request.user).select_related("owner", "clinic"))
    patient = load(request, rows.filter(is_test=False), uuid=uuid)
    right_required(request, "merge", NOT_ALLOWED)
    if patient.merged_into_id:
        return redirect("labs:patient", uuid=patient.uuid)
    given = request.POST if request.method == "POST" else request.GET
    other, set_beside, problem, status = None, None, "", 200
    if named := given.get("with", ""):
        same_clinic = rows.filter(clinic=patient.clinic, is_test=False)
        other = load(request, same_clinic, uuid=as_uuid(named))
        set_beside = beside(patient, other)
        if request.method == "POST":
            try:
                made = _merge(request, patient, other, set_beside)
            except LabError as error:
                problem, status = error.message, STATUS.get(error.code, 400)
            else:
                messages.success(
                    request, f"{made.merged} was merged into {made.into}. It can be taken back."
                )
                return redirect("labs:patient", uuid=made.into.uuid)
    text = request.GET.get("q", patient.name).strip()
    people = Patient.objects.for_user(request.user).filter(clinic=patient.clinic)
    hits = []
    if other is None:
        hits = search(patient.clinic_id, people.exclude(pk=patient.pk), text, 1, HITS).rows
    context = {
        "patient": patient,
        "other": other,
        "beside": set_beside,
        "seen": merging.seen_key(patient, other) if other else "",
        "survivor": given.get("survivor") or str(patient.uuid),
        "hits": hits,
        "text": text,
        "problem": problem,
    }
    return render(request, "labs/merge.html", context, status=status)


def _merge(request: StaffRequest, patient: Patient, other: Patient, shown: Beside) -> Merge:
    survivor, merged = patient, other
    if request.POST.get("survivor") == str(other.uuid):
        survivor, merged = other, patient
    if shown.conflicts and plain(request.POST.get("typed_name", "")) != plain(survivor.name):
        raise InvalidInput(
            f"The two records contradict each other. Type the animal's name, {survivor.name}, to "
            "merge them all the same."
        )
    seen = request.POST.get("seen", "")
    if seen != merging.seen_key(patient, other):
        raise InvalidInput("One of the two records changed since you saw it. Look at both again.")
    return merging.merge(
        acting_user=request.user,
        survivor=survivor,
        merged=merged,
        seen=merging.seen_key(survivor, merged),
    )


@require_http_methods(["GET", "HEAD", "POST"])
@staff_required
def merged(request: StaffRequest, uuid: UUID) -> HttpResponse:
    """What a merge moved and what came since; taking it back."""
    rows: Any = Merge.objects.for_user(request.user).select_related(
        "clinic", "merged__owner", "into__owner", "into__merged_into", "by", "undone_by"
    )
    found: Merge = load(request, rows, uuid=uuid)
    right_required(request, "merge", NOT_ALLOWED)
    problem, status = "", 200
    if request.method == "POST":
        try:
            merging.undo(
                acting_user=request.user, merge=found, reason=request.POST.get("reason", "")
            )
        except LabError as error:
            problem, status = error.message, STATUS.get(error.code, 400)
            found = rows.get(pk=found.pk)
        else:
            messages.success(request, f"{found.merged} and {found.into} are two records again.")
            return redirect("labs:merge", uuid=uuid)
    context = {"page": merge_page(found), "merge": found, "problem": problem}
    return render(request, "labs/merged.html", context, status=status)
