"""A superuser enters a clinic that is not theirs: for an hour, with a reason, on record."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods

from labs.models import Clinic
from labs.services.events import record
from labs.views.access import ENTERED

HOW_LONG = timedelta(hours=1)


class EnterForm(forms.Form):
    reason = forms.CharField(
        min_length=8,
        max_length=200,
        help_text="The clinic's administrators read it. No names of owners or patients.",
        error_messages={
            "required": "Say why: the clinic's administrators read it.",
            "min_length": "Say it so that the clinic's administrators understand it.",
        },
    )


@require_http_methods(["GET", "POST"])
def enter(request: Any, pk: int) -> HttpResponse:
    """For everybody else there is no such page."""
    if not request.user.is_superuser:
        raise Http404
    clinic = get_object_or_404(Clinic, pk=pk)
    form = EnterForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        until = timezone.now() + HOW_LONG
        record(
            "clinic.entered",
            clinic=clinic,
            acting_user=request.user,
            words=form.cleaned_data["reason"],
            until=until.isoformat(timespec="seconds"),
        )
        _open(request, clinic, until.timestamp())
        messages.success(request, f"You are in {clinic} for an hour. It is on the clinic's record.")
        return redirect("admin:index")
    context = {
        **admin.site.each_context(request),
        "title": f"Enter {clinic}",
        "form": form,
        "opts": Clinic._meta,
    }
    status = 422 if form.errors else 200
    return render(request, "admin/labs/enter.html", context, status=status)


def _open(request: HttpRequest, clinic: Clinic, until: float) -> None:
    request.session[ENTERED] = {**request.session.get(ENTERED, {}), str(clinic.pk): until}
