"""Follow-ups, what owners were told, and reviews that are given to a colleague."""

from __future__ import annotations

from datetime import date
from uuid import UUID

from django.contrib import messages
from django.contrib.auth.models import User
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST

from labs.errors import LabError
from labs.models import FollowUp, LabRequest
from labs.queries.reviews.review import to_sign_together
from labs.services.reviews import care, escalation, review
from labs.views.access import StaffRequest, laboratory_required, load, right_required
from labs.views.numbers import number
from labs.views.requests import Refused, show

ONLY_VETS = "Only a veterinarian of the clinic signs results."


@require_http_methods(["GET", "HEAD", "POST"])
@laboratory_required
def follow_up(request: StaffRequest, lab_report_id: str) -> HttpResponse:
    lab_request = _load(request, lab_report_id)
    if request.method != "POST":  # back to the page of a refused form, after signing in again
        return redirect("labs:request", lab_report_id=lab_report_id)
    try:
        due_on = date.fromisoformat(request.POST.get("due_on", ""))
    except ValueError:
        due_on = None
    try:
        made = care.follow_up(
            acting_user=request.user,
            request=lab_request,
            what=request.POST.get("what", ""),
            assigned_to=_person(request, lab_request),
            due_on=due_on,
        )
    except LabError as error:
        return show(request, lab_report_id, refused=_refused(request, "follow_up", error))
    else:
        name = made.assigned_to.get_full_name() or made.assigned_to.get_username()
        messages.success(request, f"{name} sees to it by {made.due_on.isoformat()}.")
    return redirect("labs:request", lab_report_id=lab_report_id)


@require_POST
@laboratory_required
def done(request: StaffRequest, uuid: UUID) -> HttpResponse:
    rows = FollowUp.objects.for_user(request.user)
    row = load(request, rows.select_related("clinic", "request__patient"), uuid=uuid)
    try:
        care.done(
            acting_user=request.user, follow_up=row, note=request.POST.get("note", "").strip()
        )
    except LabError as error:
        messages.error(request, error.message)
    else:
        messages.success(request, f"Done: {row.what}")
    if request.POST.get("back") == "worklist":
        return redirect("labs:worklist")
    return redirect("labs:request", lab_report_id=row.request.lab_report_id)


@require_http_methods(["GET", "HEAD", "POST"])
@laboratory_required
def told(request: StaffRequest, lab_report_id: str) -> HttpResponse:
    lab_request = _load(request, lab_report_id)
    if request.method != "POST":
        return redirect("labs:request", lab_report_id=lab_report_id)
    try:
        care.tell_owner(
            acting_user=request.user, request=lab_request, what=request.POST.get("what", "")
        )
    except LabError as error:
        return show(request, lab_report_id, refused=_refused(request, "told", error))
    else:
        messages.success(request, "On record, in your name: the owner was told.")
    return redirect("labs:request", lab_report_id=lab_report_id)


@require_POST
@laboratory_required
def hand_over(request: StaffRequest, lab_report_id: str) -> HttpResponse:
    lab_request = _load(request, lab_report_id)
    try:
        given = care.hand_over(
            acting_user=request.user,
            request=lab_request,
            to=_person(request, lab_request),
            note=request.POST.get("note", ""),
        )
    except LabError as error:
        messages.error(request, error.message)
    else:
        name = given.given_to.get_full_name() or given.given_to.get_username()
        messages.success(request, f"The review is {name}'s now, and in their worklist.")
    return redirect("labs:request", lab_report_id=lab_report_id)


@require_http_methods(["GET", "POST"])
@laboratory_required
def sign_many(request: StaffRequest) -> HttpResponse:
    """Several reviews at once, with their values before one's eyes; what is critical is not among
    them and cannot be slipped in."""
    right_required(request, "review", ONLY_VETS)
    if request.method == "POST":
        chosen = [_chosen(text) for text in request.POST.getlist("sign")[:100]]
        signed, left = review.sign_many(
            acting_user=request.user,
            clinic=request.clinic,
            chosen=[pair for pair in chosen if pair],
        )
        for sentence in left:
            messages.warning(request, sentence)
        if signed:
            messages.success(request, f"Signed: {signed} request{'s' * (signed != 1)}.")
        elif not left:
            messages.warning(request, "Nothing was chosen, so nothing was signed.")
        return redirect("labs:review_many")
    return render(request, "labs/review_many.html", {"page": to_sign_together(request.clinic)})


def _chosen(text: str) -> tuple[str, int] | None:
    """A request's id and the version of it that was shown."""
    lab_report_id, _, version = text.partition(":")
    return (lab_report_id, number(version)) if number(version) >= 0 else None


def _refused(request: StaffRequest, form: str, error: LabError) -> Refused:
    if not error.field:
        messages.error(request, error.message)  # no field of the form has it beside it
    return Refused(
        form=form,
        what=request.POST.get("what", ""),
        person=number(request.POST.get("person", "")),
        due_on=request.POST.get("due_on", ""),
        why=error.message,
        field=error.field,
    )


def _person(request: StaffRequest, lab_request: LabRequest) -> User | None:
    """Of that clinic's: somebody of another one is looked up like nobody."""
    staff = escalation.staff_of(lab_request.clinic).select_related("user")
    place = staff.filter(user=number(request.POST.get("person", ""))).first()
    return place.user if place else None


def _load(request: StaffRequest, lab_report_id: str) -> LabRequest:
    rows = LabRequest.objects.for_user(request.user).select_related("clinic", "patient")
    found: LabRequest = load(request, rows, lab_report_id=lab_report_id)
    return found
