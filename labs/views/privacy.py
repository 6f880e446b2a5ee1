"""What is held on an owner: for a clinic's administrators, to give it to them or to erase it."""

from __future__ import annotations

from uuid import UUID

from django.contrib import messages
from django.db import transaction
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from labs.errors import InvalidInput, Stale
from labs.models import Owner
from labs.queries.registry import owner_data, owner_words
from labs.services.events import record
from labs.services.privacy import erasing
from labs.views.access import StaffRequest, load, right_required, staff_required
from labs.views.attachments import safe

ONLY_ADMINISTRATORS = "Only an administrator of the clinic may give out or erase an owner's data."


@never_cache
@require_GET
@staff_required
def page(request: StaffRequest, uuid: UUID) -> HttpResponse:
    owner = _owner(request, uuid)
    record("owner.viewed", clinic=owner.clinic, acting_user=request.user, owner=owner.pk)
    with transaction.atomic():
        found = owner_data.held(owner)
        counts = [
            ("Animals", found.patients.count()),
            ("Requests", found.requests.count()),
            ("Results that were unmatched", found.unmatched.count()),
            ("Messages to and from the laboratory", found.messages.count()),
            ("Entries on record", found.events.count()),
        ]
        reasons = [] if owner.erased_at else owner_data.in_the_way(found)
        places = [] if owner.erased_at else owner_words.places(found)
    context = {"owner": owner, "counts": counts, "in_the_way": reasons, "kept": erasing.KEPT}
    context |= {"places": places, "seen": owner_words.seen_key(places)}
    context["patients"] = found.patients.order_by("name", "pk")
    return render(request, "labs/owner_data.html", context)


@require_GET
@staff_required
def export(request: StaffRequest, uuid: UUID) -> HttpResponse:
    owner = _owner(request, uuid)
    content = erasing.export(acting_user=request.user, owner=owner)
    name = f"owner-{owner.owner_id}-{timezone.localdate()}.zip"
    return safe(HttpResponse(content, content_type="application/zip"), name, inline=False)


@require_POST
@staff_required
def erase(request: StaffRequest, uuid: UUID) -> HttpResponse:
    owner = _owner(request, uuid)
    ticked = set(request.POST.getlist("words"))
    shown = set(request.POST.getlist("shown"))
    try:
        erasing.erase(
            acting_user=request.user,
            owner=owner,
            typed=request.POST.get("typed", ""),
            keep=shown - ticked,
            seen=request.POST.get("seen", ""),
        )
    except (InvalidInput, Stale) as error:
        messages.error(request, error.message)
    else:
        messages.success(request, f"The data of owner {owner.owner_id} was erased.")
    return redirect("labs:owner_data", uuid=uuid)


def _owner(request: StaffRequest, uuid: UUID) -> Owner:
    rows = Owner.objects.for_user(request.user).select_related("clinic")
    owner: Owner = load(request, rows, uuid=uuid)
    right_required(request, "administer", ONLY_ADMINISTRATORS)
    return owner
