from __future__ import annotations

from uuid import UUID

from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from labs.models import UnmatchedResult, UnmatchedState
from labs.queries.orphaned import shadow
from labs.queries.orphaned import unmatched as queries
from labs.queries.orphaned.witnesses import Witness, witnesses
from labs.queries.paging import page_number
from labs.queries.records import events
from labs.services.orphaned import second_look
from labs.services.orphaned.automatic import TAKEN_BACK
from labs.views.access import StaffRequest, laboratory_required, load
from labs.views.polling import unchanged


@require_GET
@laboratory_required
def index(request: StaffRequest) -> HttpResponse:
    version = queries.version(request.clinic)
    if unchanged(request, version):
        return HttpResponse(status=204)
    state = request.GET.get("state", "waiting")
    state = state if state in queries.STATES else "waiting"
    filters = queries.Filters(
        **{name: request.GET.get(name, "")[:150] for name in ("analyzer", "age", "held_by")}
    )
    number = page_number(request.GET.get("page"))
    context = {
        "queue": queries.queue(request.clinic, state, number, filters, viewer=request.user),
        "states": queries.STATES,
        "ages": queries.AGES,
        "version": version,
        "taken_back": TAKEN_BACK,
        "checked_back": second_look.TAKEN_BACK,
    }
    if not request.htmx and "administer" in request.rights:
        context |= {"shadow": shadow.shadow(request.clinic), "rule": shadow.rule()}
    template = "labs/unmatched_live.html" if request.htmx else "labs/unmatched.html"
    return render(request, template, context)


@require_GET
@laboratory_required
def history(request: StaffRequest, uuid: UUID) -> HttpResponse:
    """Who did what with this result, and the messages that it came in."""
    unmatched = load(
        request,
        UnmatchedResult.objects.for_user(request.user).select_related(
            "suggested_request", "held_by", "split_from"
        ),
        uuid=uuid,
    )
    context = {
        "unmatched": unmatched,
        "events": events.of_unmatched(unmatched),
        "seen_by": _seen_by(unmatched),
        # What was split came in the messages of the first part.
        "messages_in": (unmatched.split_from or unmatched)
        .messages.defer("raw", "reply")
        .order_by("pk"),
    }
    return render(request, "labs/unmatched_history.html", context)


def _seen_by(unmatched: UnmatchedResult) -> list[Witness]:
    if unmatched.state != UnmatchedState.MATCHED:
        return []
    standing = unmatched.decisions.select_related("request").get(active=True)
    return witnesses(standing.request, standing.at)
