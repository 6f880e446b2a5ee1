"""Colleagues change places at a shared workstation."""

from __future__ import annotations

from django.http import HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_http_methods

from labs.address import client_address
from labs.services.people import guessing, pins, second_factor
from labs.views import proof
from labs.views.access import StaffRequest, staff_required

WRONG = "This PIN is not right. Try again, or sign out and sign in with the password."
WRONG_TOO = "PIN and code are not right together. Take the app's next code and try again."
LOCKED = (
    "Too many wrong PINs. Sign out and sign in here with the password: after that the PIN works "
    "again."
)
NOBODY_BEHIND = (
    "Whoever signed in here with a password does not work at this clinic or has changed it. Sign "
    "out, and sign in with your password."
)


@require_http_methods(["GET", "POST"])
@staff_required
def page(request: StaffRequest) -> HttpResponse:
    """Choose a colleague and type their PIN. The other's session is gone with it."""
    after = request.POST.get("next") or request.GET.get("next") or "/"
    if not url_has_allowed_host_and_scheme(after, {request.get_host()}, request.is_secure()):
        after = "/"
    colleagues = pins.colleagues(request.clinic, besides=request.user)
    context = {"colleagues": colleagues, "after": after, "has_pin": pins.has_pin(request.user)}
    if request.method == "GET":
        return render(request, "labs/switch.html", context)
    chosen = next((c for c in colleagues if str(c.user.pk) == request.POST.get("who")), None)
    if chosen is None:
        problem = "Choose who you are." if colleagues else "Nobody else here has a PIN."
        return _refused(request, context, problem)
    context["chosen"] = chosen
    workstation = proof.workstation(request)
    if not workstation:
        return _refused(request, context, NOBODY_BEHIND)
    given = request.POST.get("pin", "")
    outcome = pins.guess(
        user=chosen.user, clinic=request.clinic, pin=given, workstation=workstation
    )
    if outcome != "right":
        return _refused(request, context, LOCKED if outcome == "locked" else WRONG)
    factor = None
    if chosen.needs_code or second_factor.required(chosen.user):
        turn = guessing.code(
            chosen.user.get_username(), address=client_address(request), device=workstation
        )
        if turn.wait:
            words = f"Too many wrong codes. Wait {turn.wait} s, then try again."
            return _refused(request, context, words)
        factor = second_factor.prove(chosen.user, request.POST.get("code", "")).factor
        if factor is None:
            return _refused(request, context, WRONG_TOO)
        guessing.right_code(turn)
    proof.take_over(request, chosen.user, factor)
    return HttpResponseRedirect(after)


def _refused(request: StaffRequest, context: dict[str, object], problem: str) -> HttpResponse:
    return render(request, "labs/switch.html", {**context, "problem": problem}, status=422)
