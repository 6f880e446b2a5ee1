"""The page of one request, and what a person may do there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from uuid import uuid4

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET, require_POST

from labs.errors import InvalidInput, LabError
from labs.forms.fields import FormKey
from labs.models import LabRequest
from labs.queries.orders.progress import submission_of
from labs.queries.orders.request_page import all_reviewed, head, heads, request_page
from labs.queries.readings.versions import versions_page
from labs.queries.registry.patients import with_weight
from labs.services.orders import ordering, outbox
from labs.services.reviews import review, viewing
from labs.tube_labels import SIZES, USUAL
from labs.views.access import StaffRequest, laboratory_required, load, staff_required
from labs.views.numbers import number
from labs.views.polling import unchanged
from labs.views.tube_labels import LAST_SIZE

ORDER, ORDERS = "order_of_rows", ("abnormal", "panel")  # kept for as long as one is signed in
NOT_REVIEWED = (
    "A result of this request has not been reviewed by a veterinarian yet. Ask one; it appears "
    "here as soon as it is signed."
)


@dataclass(frozen=True, kw_only=True)
class Refused:
    """A form that was not taken: which, what was typed into it, and why. `field`: the one to
    blame, where it is one."""

    form: str
    what: str
    why: str
    field: str
    person: int = -1
    due_on: str = ""


@require_GET
@staff_required
def page(request: StaffRequest, lab_report_id: str) -> HttpResponse:
    if request.htmx and request.GET.get("v"):
        # The question that is asked every few seconds, answered by one row.
        light = load(
            request, LabRequest.objects.for_user(request.user), lab_report_id=lab_report_id
        )
        if unchanged(request, head(light)):
            return HttpResponse(status=204)
    return show(request, lab_report_id)


def show(
    request: StaffRequest, lab_report_id: str, *, refused: Refused | None = None
) -> HttpResponse:
    """The page; with a form of it that was refused, which stands there as it was typed."""
    lab_request = load(request, heads().for_user(request.user), lab_report_id=lab_report_id)
    at_desk = "unreviewed" not in request.rights
    if at_desk and not all_reviewed(lab_request):
        raise PermissionDenied(NOT_REVIEWED)
    patient = lab_request.patient
    patient.weight_kg, patient.weighed_on = lab_request.weight_kg, lab_request.weighed_on
    patient.merged_words = lab_request.merged_words
    if (order := request.GET.get("order", "")) in ORDERS:
        request.session[ORDER] = order
    shown = request_page(
        lab_request,
        only_reviewed=at_desk,
        abnormal_first=request.session.get(ORDER) == "abnormal",
    )
    if shown.results.runs:
        viewing.viewed(acting_user=request.user, request=lab_request)
    seen = number(request.GET.get("seen", ""))
    seen = lab_request.version if seen < 0 else seen
    context = {
        "page": shown,
        "lab_request": lab_request,
        "patient": patient,
        # In a page that was open while something came, signing is a second, different button: what
        # the person had read is the version that the page was loaded with.
        "seen": seen,
        "moved_on": seen != lab_request.version,
        "form_key": uuid4(),
        "label_sizes": SIZES,
        "label_size": request.session.get(LAST_SIZE, USUAL),
        "refused": refused,
        "colleagues": [vet for vet in shown.care.vets if vet.pk != request.user.pk],
    }
    template = "labs/request_live.html" if request.htmx else "labs/request.html"
    return render(request, template, context, status=422 if refused else 200)


@require_GET
@laboratory_required
def versions(request: StaffRequest, lab_report_id: str, pk: int) -> HttpResponse:
    """Two versions of one run beside each other."""
    rows = LabRequest.objects.for_user(request.user)
    lab_request = load(
        request,
        with_weight(rows.select_related("clinic", "patient__owner"), patient="patient"),
        lab_report_id=lab_report_id,
    )
    run = get_object_or_404(lab_request.runs, pk=pk)
    viewing.viewed(acting_user=request.user, request=lab_request)
    patient = lab_request.patient
    patient.weight_kg, patient.weighed_on = lab_request.weight_kg, lab_request.weighed_on
    context = {
        "page": versions_page(
            run, number(request.GET.get("older", "")), number(request.GET.get("newer", ""))
        ),
        "title": run.test_name or run.test_code or "a test without a name",
        "lab_request": lab_request,
        "patient": patient,
    }
    return render(request, "labs/versions.html", context)


@require_POST
@staff_required
def sign(request: StaffRequest, lab_report_id: str) -> HttpResponse:
    def act(lab_request: LabRequest) -> str:
        signed = review.sign(
            acting_user=request.user,
            request=lab_request,
            expected_version=number(request.POST.get("version", "")),
            note=request.POST.get("note", "").strip(),
        )
        return f"Signed: {signed} {'result' if signed == 1 else 'results'}."

    return _act(request, lab_report_id, act)


@require_POST
@staff_required
def choose(request: StaffRequest, lab_report_id: str) -> HttpResponse:
    """Of a test that was run more than once, which run is reported."""

    def act(lab_request: LabRequest) -> str:
        review.choose_run(
            acting_user=request.user,
            request=lab_request,
            run=get_object_or_404(lab_request.runs, pk=number(request.POST.get("run", ""))),
            expected_version=number(request.POST.get("version", "")),
        )
        return "This run is the one that is reported. The other stays to be seen."

    return _act(request, lab_report_id, act)


@require_POST
@staff_required
def again(request: StaffRequest, lab_report_id: str) -> HttpResponse:
    """The same tests once more; leads to the new request."""
    lab_request = _load(request, lab_report_id)
    try:
        made = ordering.run_again(
            acting_user=request.user,
            request=lab_request,
            form_key=FormKey(request.POST).key(),
            seen_for=request.POST.get("patient", ""),
        )
    except LabError as error:
        messages.error(request, error.message)
        return redirect("labs:request", lab_report_id=lab_report_id)
    messages.success(request, f"On order again, as {made}.")
    return redirect("labs:request", lab_report_id=made.lab_report_id)


@require_POST
@staff_required
def cancel(request: StaffRequest, lab_report_id: str) -> HttpResponse:
    def act(lab_request: LabRequest) -> str:
        return ordering.cancel_request(
            acting_user=request.user,
            request=lab_request,
            reason=request.POST.get("reason", "").strip(),
        )

    return _act(request, lab_report_id, act)


@require_POST
@staff_required
def resubmit(request: StaffRequest, lab_report_id: str) -> HttpResponse:
    def act(lab_request: LabRequest) -> str:
        if (submission := submission_of(lab_request)) is None:
            raise InvalidInput("Nothing was ever sent here: the tests were run without a request.")
        outbox.resubmit(
            acting_user=request.user,
            submission=submission,
            not_there=request.POST.get("not_there") == "1",
        )
        return "The order is sent again, under the same id."

    return _act(request, lab_report_id, act)


def _act(
    request: StaffRequest, lab_report_id: str, act: Callable[[LabRequest], str]
) -> HttpResponse:
    lab_request = _load(request, lab_report_id)
    try:
        messages.success(request, act(lab_request))
    except LabError as error:
        messages.error(request, error.message)
    return redirect("labs:request", lab_report_id=lab_report_id)


def _load(request: StaffRequest, lab_report_id: str) -> LabRequest:
    rows = LabRequest.objects.for_user(request.user)
    found: LabRequest = load(
        request,
        rows.select_related("clinic", "patient__clinic", "submission", "first"),
        lab_report_id=lab_report_id,
    )
    return found
