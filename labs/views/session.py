"""Signing in and out, and which clinic one works at."""

from __future__ import annotations

from functools import partial
from typing import Any

from django.contrib import messages
from django.contrib.auth.views import LoginView, LogoutView, PasswordResetConfirmView
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.middleware.csrf import get_token
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse_lazy
from django.views.decorators.http import require_http_methods, require_POST

from labs.address import client_address
from labs.forms.people import ForgottenForm, SignInForm
from labs.models import Clinic
from labs.services.people import guessing, letters, second_factor, signing_in
from labs.views import devices, proof
from labs.views.access import ACTIVE_CLINIC, StaffRequest, staff_required, who


class SignIn(LoginView):
    def get_form_kwargs(self) -> dict[str, Any]:
        return {**super().get_form_kwargs(), "device": partial(devices.known, self.request)}

    def form_valid(self, form: Any) -> HttpResponse:
        """The password is right. Who has a second factor, or must have one, is not signed in by
        that."""
        user, after = form.get_user(), self.get_success_url()
        if second_factor.of(user):
            proof.wait_for_code(self.request, user, after)
            return redirect("labs:code")
        if second_factor.required(user):
            second_factor.begin(user)
            proof.wait_for_code(self.request, user, after)
            return redirect("labs:enrol")
        return proof.finish(self.request, HttpResponseRedirect(after), user)

    def form_invalid(self, form: Any) -> HttpResponse:
        response: HttpResponse = super().form_invalid(form)
        turn = form.turn
        if turn.wait:
            response.status_code = 429
            response["Retry-After"] = str(turn.wait)
        elif turn.keys:  # a password was looked at
            signing_in.failed(form.cleaned_data.get("username", ""), slowed=turn.last_free)
        return response


class SignOut(LogoutView):
    def post(self, request: Any, *args: Any, **kwargs: Any) -> HttpResponse:
        if request.user.is_authenticated:
            signing_in.signed_out(request.user)
        return super().post(request, *args, **kwargs)


login = require_http_methods(["GET", "POST"])(
    SignIn.as_view(
        template_name="registration/login.html",
        authentication_form=SignInForm,
        redirect_authenticated_user=True,
    )
)
logout = require_POST(SignOut.as_view())


@require_http_methods(["GET", "POST"])
def forgotten(request: HttpRequest) -> HttpResponse:
    """A mail with which to set a new password. The answer is the same whoever is asked for."""
    form = ForgottenForm(request.POST if request.method == "POST" else None)
    page = "registration/forgotten.html"
    if not form.is_valid():
        return render(request, page, {"form": form})
    turn = guessing.letter(form.cleaned_data["login"], address=client_address(request))
    if turn.wait:
        form.add_error(None, f"Asked for too often. Wait {turn.wait} s, then ask again.")
        answer = render(request, page, {"form": form}, status=429)
        answer["Retry-After"] = str(turn.wait)
        return answer
    letters.ask(form.cleaned_data["login"])
    return render(request, page, {"asked": True})


class NewPassword(PasswordResetConfirmView):
    """Django's: the link's secret goes into the session, and out of the address that is shown."""

    template_name = "registration/new_password.html"
    token_generator = letters.tokens
    success_url = reverse_lazy("labs:login")

    def form_valid(self, form: Any) -> HttpResponse:
        with transaction.atomic():
            response = super().form_valid(form)
            signing_in.password_set(form.user)
        messages.success(self.request, "Your password is set. Sign in with it.")
        return response


new_password = require_http_methods(["GET", "POST"])(NewPassword.as_view())


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


@require_http_methods(["GET", "POST"])
def still(request: HttpRequest) -> HttpResponse:
    """Who is signed in here, for a page that stays open: GET only asks, POST says that somebody is
    at work there. `who` tells one person from another and names nobody; `token` is for the forms
    that were filled before a new sign-in."""
    user: Any = request.user
    if not user.is_authenticated:
        return JsonResponse({"who": ""})
    if request.method == "POST":
        return HttpResponse(status=204)
    return JsonResponse({"who": who(request), "token": get_token(request)})
