"""Signing in and out, and which clinic one works at."""

from __future__ import annotations

from django.contrib.auth.views import LoginView, LogoutView
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods, require_POST

from labs.forms import SignInForm
from labs.models import Clinic
from labs.views.access import ACTIVE_CLINIC, StaffRequest, staff_required

login = require_http_methods(["GET", "POST"])(
    LoginView.as_view(
        template_name="registration/login.html",
        authentication_form=SignInForm,
        redirect_authenticated_user=True,
    )
)
logout = require_POST(LogoutView.as_view())


@require_http_methods(["GET", "POST"])
@staff_required
def clinic(request: StaffRequest) -> HttpResponse:
    """Switch between the clinics where one works."""
    if request.method == "POST":
        chosen = get_object_or_404(
            Clinic.objects.for_user(request.user), public_id=request.POST.get("clinic", "")
        )
        request.session[ACTIVE_CLINIC] = chosen.public_id
        return redirect("labs:worklist")
    return render(request, "labs/clinic.html")
