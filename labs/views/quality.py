"""Putting quality-control runs away together."""

from __future__ import annotations

from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from labs.queries.orphaned import quality as queries
from labs.services.orphaned import quality
from labs.views.access import StaffRequest, right_required, staff_required

NOT_ALLOWED = "Your role here does not decide about unmatched results; ask a technician."


@require_http_methods(["GET", "HEAD", "POST"])
@staff_required
def controls(request: StaffRequest) -> HttpResponse:
    right_required(request, "match", NOT_ALLOWED)
    if request.method != "POST":
        context = {"controls": queries.controls(request.clinic)}
        return render(request, "labs/unmatched_quality.html", context)
    done, left = quality.dismiss_together(
        acting_user=request.user,
        clinic=request.clinic,
        chosen=[pair for pair in map(_shown, request.POST.getlist("run")) if pair],
        critical_seen=[pair[0] for pair in map(_shown, request.POST.getlist("critical")) if pair],
    )
    if done:
        messages.success(request, f"{done} dismissed as quality control. They stay stored.")
    for sentence in left[:10]:
        messages.warning(request, sentence)
    if not done and not left:
        messages.error(request, "Tick the runs that are to be put away.")
    return redirect("labs:unmatched_quality" if left or not done else "labs:unmatched")


def _shown(text: str) -> tuple[UUID, int] | None:
    """`uuid:version`, as it stood on the page."""
    name, _, version = text.partition(":")
    try:
        return UUID(name), int(version)
    except ValueError:
        return None
