from __future__ import annotations

from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET

from labs.queries import emergency, worklist_filters
from labs.queries import worklist as queries
from labs.queries.nav import nav
from labs.queries.paging import page_number
from labs.views.access import StaffRequest, staff_required
from labs.views.polling import unchanged


@require_GET
@staff_required
def worklist(request: StaffRequest) -> HttpResponse:
    """The home page: everything that waits, or one section of it (`?show=review`). The front
    desk has its patients instead."""
    if "unreviewed" not in request.rights:
        return redirect("labs:patients")
    counts = request.nav = nav(request.clinic)
    version = queries.version(request.clinic, counts)
    if unchanged(request, version):
        return HttpResponse(status=204)
    only = request.GET.get("show", "")
    only = only if only in queries.SECTIONS else ""
    chosen = worklist_filters.read(request.GET, request.user)
    context = {
        "chosen": chosen,
        "choices": None if request.htmx else worklist_filters.choices(request.clinic, chosen),
        "emergencies": [] if only else emergency.on_worklist(request.clinic),
        "worklist": queries.worklist(
            request.clinic,
            counts,
            only=only,
            number=page_number(request.GET.get("page")),
            chosen=chosen,
        ),
        "only": only,
        "version": version,
    }
    template = "labs/worklist_live.html" if request.htmx else "labs/worklist.html"
    return render(request, template, context)


@require_GET
@staff_required
def navigation(request: StaffRequest) -> HttpResponse:
    """The counts in the navigation, for pages that stay open."""
    request.nav = nav(request.clinic)
    if unchanged(request, request.nav.version):
        return HttpResponse(status=204)
    return render(request, "partials/nav.html")
