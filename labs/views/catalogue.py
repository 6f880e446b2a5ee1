"""The clinic's catalogue. Whoever works in the laboratory looks; its administrators change it;
whoever stands at an analyzer says that it is down."""

from __future__ import annotations

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_POST

from labs.errors import InvalidInput, LabError
from labs.models import Analyte, Analyzer, OwnInterval, Panel
from labs.queries.catalogue import catalogue_page, ranges_page
from labs.services import own
from labs.services.orders import orderable
from labs.views.access import (
    StaffRequest,
    laboratory_required,
    load,
    right_required,
    staff_required,
)

ONLY_ADMINISTRATORS = "Only an administrator of the clinic may change its catalogue."
NUMBER = "“%s” is no whole number."


@require_GET
@laboratory_required
def index(request: StaffRequest) -> HttpResponse:
    return render(request, "labs/catalogue.html", {"page": catalogue_page(request.clinic)})


@require_POST
@staff_required
def panel(request: StaffRequest) -> HttpResponse:
    right_required(request, "administer", ONLY_ADMINISTRATORS)
    chosen = Panel.objects.filter(code=request.POST.get("panel", "")[:32]).first()
    if chosen is None:
        raise Http404
    try:
        own.set_panel(
            acting_user=request.user,
            clinic=request.clinic,
            panel=chosen,
            favourite=request.POST.get("favourite") == "1",
            billing_code=request.POST.get("billing_code", ""),
            usual_minutes=_whole(request.POST.get("usual_minutes", "")),
        )
    except LabError as error:
        messages.error(request, error.message)
    else:
        messages.success(request, f"{chosen.name}: saved.")
    return redirect("labs:catalogue")


@require_POST
@laboratory_required
def analyzer(request: StaffRequest, pk: int) -> HttpResponse:
    """It is down, or it runs again."""
    rows = Analyzer.objects.for_user(request.user).select_related("clinic")
    chosen = load(request, rows, pk=pk)
    try:
        if request.POST.get("down") == "1":
            orderable.mark_down(
                acting_user=request.user,
                analyzer=chosen,
                reason=request.POST.get("reason", ""),
            )
            said = "is marked as down: nothing more is ordered from it."
        else:
            orderable.mark_running(acting_user=request.user, analyzer=chosen)
            said = "runs again."
    except LabError as error:
        messages.error(request, error.message)
    else:
        messages.success(request, f"{chosen} {said}")
    return redirect("labs:catalogue")


@require_GET
@laboratory_required
def ranges(request: StaffRequest) -> HttpResponse:
    return render(request, "labs/own_ranges.html", {"page": ranges_page(request.clinic)})


@require_POST
@staff_required
def add_range(request: StaffRequest) -> HttpResponse:
    right_required(request, "administer", ONLY_ADMINISTRATORS)
    post = request.POST
    code = post.get("analyte", "")
    try:
        analyte = Analyte.objects.filter(code=code[:32]).first()
        if analyte is None:
            raise InvalidInput(f"There is no value “{code[:32]}” in the catalogue.")
        made = own.set_interval(
            acting_user=request.user,
            clinic=request.clinic,
            analyte=analyte,
            species=post.get("species", ""),
            low=post.get("low", ""),
            high=post.get("high", ""),
            unit=post.get("unit", ""),
            from_months=_whole(post.get("from_months", "")) or 0,
            to_months=_whole(post.get("to_months", "")),
            source=post.get("source", ""),
        )
    except LabError as error:
        messages.error(request, error.message)
    else:
        messages.success(
            request, f"{made} holds from now on. Results that are here keep what they had."
        )
    return redirect("labs:own_ranges")


@require_POST
@staff_required
def end_range(request: StaffRequest, pk: int) -> HttpResponse:
    rows = OwnInterval.objects.for_user(request.user).select_related("clinic", "analyte")
    chosen = load(request, rows, pk=pk)
    right_required(request, "administer", ONLY_ADMINISTRATORS)
    own.end_interval(acting_user=request.user, own=chosen)
    messages.success(request, f"{chosen} holds for no new result.")
    return redirect("labs:own_ranges")


def _whole(text: str) -> int | None:
    """None for nothing. Raises InvalidInput."""
    text = text.strip()
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 6):
        raise InvalidInput(NUMBER % text[:20])
    return int(text)
