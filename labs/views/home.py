from __future__ import annotations

from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_POST

from labs.queries.orders import emergency
from labs.queries.overview import worklist as queries
from labs.queries.overview import worklist_filters
from labs.queries.overview.first_steps import Step, first_steps
from labs.queries.overview.nav import nav
from labs.queries.paging import page_number
from labs.queries.reviews.care import follow_ups_due
from labs.services import clinics
from labs.views.access import StaffRequest, right_required, staff_required
from labs.views.polling import unchanged


@require_GET
@staff_required
def worklist(request: StaffRequest) -> HttpResponse:
    """The home page: everything that waits, or one section of it (`?show=review`). The front
    desk has its patients instead."""
    if "unreviewed" not in request.rights:
        return redirect("labs:patients")
    counts = request.nav = nav(request.clinic, request.user)
    version = queries.version(request.clinic, counts)
    if unchanged(request, version):
        return HttpResponse(status=204)
    only = request.GET.get("show", "")
    only = only if only in queries.SECTIONS else ""
    chosen = worklist_filters.read(request.GET, request.user)
    context = {
        "chosen": chosen,
        "choices": None if request.htmx else worklist_filters.choices(request.clinic, chosen),
        "emergencies": None if only else emergency.on_worklist(request.clinic),
        "follow_ups": []
        if only
        else follow_ups_due(request.clinic, request.user if chosen.mine else None),
        "worklist": queries.worklist(
            request.clinic,
            counts,
            only=only,
            number=page_number(request.GET.get("page")),
            chosen=chosen,
        ),
        "only": only,
        "version": version,
        "first_steps": _first_steps(request),
    }
    template = "labs/worklist_live.html" if request.htmx else "labs/worklist.html"
    return render(request, template, context)


def _first_steps(request: StaffRequest) -> list[Step]:
    """For the administrators of a clinic that is new here; nothing once all is done, or hidden."""
    if "administer" not in request.rights or request.clinic.first_steps_hidden or request.htmx:
        return []
    steps = first_steps(request.clinic)
    return [] if all(step.done for step in steps) else steps


@require_POST
@staff_required
def hide_first_steps(request: StaffRequest) -> HttpResponse:
    right_required(request, "administer", "Only an administrator takes this list away.")
    clinics.hide_first_steps(acting_user=request.user, clinic=request.clinic)
    return redirect("labs:worklist")


@require_GET
@staff_required
def navigation(request: StaffRequest) -> HttpResponse:
    """The counts in the navigation, for pages that stay open."""
    request.nav = nav(request.clinic, request.user)
    if unchanged(request, request.nav.version):
        return HttpResponse(status=204)
    return render(request, "partials/nav_live.html")
