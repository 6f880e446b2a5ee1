"""One's own sign-in: the second factor after the password, and the page where one changes it."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from labs import qr
from labs.address import client_address
from labs.errors import LabError
from labs.models import SecondFactor
from labs.services.people import guessing, pins, second_factor, signing_in
from labs.views import devices, proof
from labs.views.access import PROVEN, person_required

WRONG = (
    "This code is not right, or was used already. Wait until the app shows the next one, and look "
    "whether the telephone's clock is right."
)


@require_http_methods(["GET", "POST"])
def code(request: HttpRequest) -> HttpResponse:
    """After the password: the code of the app, or one from paper."""
    waiting = proof.pending(request)
    if waiting is None:
        return redirect("labs:login")
    user, after = waiting
    template = "registration/code.html"
    if request.method == "GET":
        return render(request, template)
    turn = turn_of(request, user)
    found = second_factor.Proof(wait=turn.wait)
    if not turn.wait:
        found = second_factor.prove(user, request.POST.get("code", ""))
    if found.factor:
        guessing.right_code(turn)
        if found.left is not None and found.left < 4:
            messages.warning(request, _few(found.left))
        # An address and no name to look up: `?next=word` would be an error after the code.
        return proof.finish(request, HttpResponseRedirect(after), user, found.factor)
    return _refused(request, template, found.wait)


@require_http_methods(["GET", "POST"])
def enrol(request: HttpRequest) -> HttpResponse:
    """After the password of somebody who must have a second factor and has none: nothing else is
    open to them before."""
    waiting = proof.pending(request)
    factor = second_factor.begun(waiting[0]) if waiting else None
    if waiting is None or factor is None:
        return redirect("labs:login")
    user, after = waiting
    template, context = "registration/enrol.html", {"factor": factor, **_shown(factor)}
    if request.method == "GET":
        return render(request, template, context)
    turn = turn_of(request, user)
    made = None if turn.wait else second_factor.confirm(user, request.POST.get("code", ""))
    if made is None:
        return _refused(request, template, turn.wait, context)
    guessing.right_code(turn)
    response = render(request, "registration/backup_codes.html", {"codes": made, "after": after})
    return proof.finish(request, response, user, second_factor.of(user))


@require_GET
@person_required
def page(request: Any) -> HttpResponse:
    return _page(request)


@require_POST
@person_required
def begin_app(request: Any) -> HttpResponse:
    """A new key, to be scanned on the next page."""
    if (refused := _with_password(request)) is not None:
        return refused
    try:
        second_factor.begin(request.user)
    except LabError as error:
        return _page(request, problem=error.message, status=409)
    return redirect("labs:own_app")


@require_http_methods(["GET", "POST"])
@person_required
def own_app(request: Any) -> HttpResponse:
    factor = second_factor.begun(request.user)
    if factor is None:
        return redirect("labs:account")
    template, context = "registration/enrol.html", {"factor": factor, **_shown(factor)}
    if request.method == "GET":
        return render(request, template, context)
    turn = turn_of(request, request.user)
    made = None if turn.wait else second_factor.confirm(request.user, request.POST.get("code", ""))
    if made is None:
        return _refused(request, template, turn.wait, context)
    guessing.right_code(turn)
    request.session[PROVEN] = factor.pk
    return render(request, "registration/backup_codes.html", {"codes": made, "after": ""})


@require_POST
@person_required
def app_off(request: Any) -> HttpResponse:
    if (refused := _with_factor(request) or _with_password(request)) is not None:
        return refused
    try:
        second_factor.take_off(request.user)
    except LabError as error:
        return _page(request, problem=error.message, status=403)
    request.session.pop(PROVEN, None)
    messages.success(request, "From now on your password alone signs you in.")
    return redirect("labs:account")


@require_POST
@person_required
def codes(request: Any) -> HttpResponse:
    if (refused := _with_factor(request) or _with_password(request)) is not None:
        return refused
    try:
        made = second_factor.renew_codes(request.user)
    except LabError as error:
        return _page(request, problem=error.message, status=409)
    return render(request, "registration/backup_codes.html", {"codes": made, "after": ""})


@require_POST
@person_required
def pin(request: Any) -> HttpResponse:
    if (refused := _with_password(request)) is not None:
        return refused
    given = request.POST.get("pin", "")
    if given != request.POST.get("again", ""):
        return _page(request, problem="The two PINs are not the same. Type both again.", status=422)
    try:
        pins.set_pin(request.user, given)
    except LabError as error:
        return _page(request, problem=error.message, status=422)
    messages.success(
        request, "Your PIN is set. At a workstation of your clinic press S and type it."
    )
    return redirect("labs:account")


@require_POST
@person_required
def pin_off(request: Any) -> HttpResponse:
    pins.take_off(request.user)
    messages.success(request, "Your PIN is gone; you sign in with your password.")
    return redirect("labs:account")


def _page(request: Any, *, problem: str = "", status: int = 200) -> HttpResponse:
    context = {
        "factor": second_factor.of(request.user),
        "required": second_factor.required(request.user),
        "has_pin": pins.has_pin(request.user),
        "problem": problem,
    }
    return render(request, "registration/account.html", context, status=status)


def _with_factor(request: Any) -> HttpResponse | None:
    """The page that says so, where the session was taken over by PIN alone: PIN and password
    together must not replace the factor."""
    if second_factor.of(request.user) is None or PROVEN in request.session:
        return None
    problem = "Sign out, and sign in with your password and the app's code. Then come back here."
    return _page(request, problem=problem, status=403)


def _with_password(request: Any) -> HttpResponse | None:
    """The page that says so, where the password is not theirs: whoever finds a workstation open
    must not make themselves a key to it."""
    user = request.user
    device = devices.known(request, user.get_username())
    turn = guessing.turn(user.get_username(), address=client_address(request), device=device)
    if turn.wait:
        problem = f"Too many wrong tries from here. Wait {turn.wait} s, then try again."
        answer = _page(request, problem=problem, status=429)
        answer["Retry-After"] = str(turn.wait)
        return answer
    if not user.check_password(request.POST.get("password", "")):
        signing_in.failed(user.get_username(), slowed=turn.last_free)
        return _page(request, problem="This is not your password. Nothing was changed.", status=422)
    guessing.right(turn)
    return None


def turn_of(request: HttpRequest, user: User) -> guessing.Turn:
    name = user.get_username()
    device = devices.known(request, name)
    return guessing.code(name, address=client_address(request), device=device)


def _shown(factor: SecondFactor) -> dict[str, Any]:
    """The key as a picture, and in groups of four for who types it."""
    key = factor.key
    return {
        "picture": qr.picture(second_factor.address(factor)),
        "groups": [key[at : at + 4] for at in range(0, len(key), 4)],
    }


def _refused(
    request: HttpRequest, template: str, wait: int, context: dict[str, Any] | None = None
) -> HttpResponse:
    problem = f"Too many wrong codes. Wait {wait} s, then try again." if wait else WRONG
    status = 429 if wait else 200
    answer = render(request, template, {**(context or {}), "problem": problem}, status=status)
    if wait:
        answer["Retry-After"] = str(wait)
    return answer


def _few(left: int) -> str:
    words = {0: "No backup code is", 1: "One backup code is"}.get(left, f"{left} backup codes are")
    return f"{words} left. Make new ones under “Your sign-in”."
