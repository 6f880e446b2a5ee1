"""A screen on the wall: the page it shows, and where a clinic's administrators make it."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_GET, require_http_methods, require_POST
from django_htmx.http import HttpResponseClientRedirect

from labs import qr
from labs.errors import LabError
from labs.models import WallScreen
from labs.queries.overview import wall as queries
from labs.queries.overview import worklist
from labs.queries.overview.nav import nav
from labs.services.people import wall
from labs.views.access import StaffRequest, load, right_required, staff_required

AGE = 400 * 24 * 60 * 60  # seconds: as long as browsers keep a cookie; seen daily it is renewed
ONLY_ADMINISTRATORS = "Only an administrator of the clinic may make and revoke wall screens."


@require_GET
def page(request: Any) -> HttpResponse:
    """By what this screen's browser keeps, and by nothing else: whoever is signed in there is not
    asked, and nobody is signed in by it."""
    key = request.COOKIES.get(settings.WALL_COOKIE_NAME, "")
    screen = wall.known(key) if key else None
    if screen is None:
        if request.htmx:  # revoked: the whole page says so
            return HttpResponseClientRedirect(reverse("labs:wall"))
        return render(request, "labs/wall_unpaired.html", status=403)
    clinic = screen.clinic
    with timezone.override(clinic.zone):
        counts = nav(clinic)
        version = worklist.version(clinic, counts)
        if request.htmx and request.GET.get("v") == version:
            return HttpResponse(status=204)
        context = {
            "clinic": clinic,
            "screen": screen,
            "counts": counts,
            "lanes": queries.lanes(clinic, counts),
            "version": version,
        }
        template = "labs/wall_live.html" if request.htmx else "labs/wall.html"
        response = render(request, template, context)
    if not request.htmx:
        _keep(response, key)
    return response


@require_http_methods(["GET", "POST"])
def pair(request: HttpRequest, token: str) -> HttpResponse:
    """Followed on the screen itself, once. A program that only looks at links spends none."""
    token = token.strip().upper()
    if request.method == "GET":
        screen = wall.pairable(token)
        status = 200 if screen else 404
        return render(request, "labs/wall_pair.html", {"screen": screen}, status=status)
    key = wall.pair(token)
    if key is None:
        return render(request, "labs/wall_pair.html", {"screen": None}, status=404)
    response = redirect("labs:wall")
    _keep(response, key)
    return response


@require_GET
@staff_required
def screens(request: StaffRequest) -> HttpResponse:
    right_required(request, "administer", ONLY_ADMINISTRATORS)
    return _screens(request)


@require_POST
@staff_required
def new(request: StaffRequest) -> HttpResponse:
    right_required(request, "administer", ONLY_ADMINISTRATORS)
    try:
        screen, token = wall.make(
            acting_user=request.user, clinic=request.clinic, name=request.POST.get("name", "")
        )
    except LabError as error:
        return _screens(request, problem=error.message, status=422)
    return _screens(request, shown=_link(screen, token))


@require_POST
@staff_required
def link(request: StaffRequest, pk: int) -> HttpResponse:
    screen = _load(request, pk)
    try:
        token = wall.new_link(acting_user=request.user, screen=screen)
    except LabError as error:
        return _screens(request, problem=error.message, status=409)
    return _screens(request, shown=_link(screen, token))


@require_POST
@staff_required
def revoke(request: StaffRequest, pk: int) -> HttpResponse:
    screen = _load(request, pk)
    wall.revoke(acting_user=request.user, screen=screen)
    messages.success(request, f"“{screen.name}” shows nothing any more.")
    return redirect("labs:screens")


def _load(request: StaffRequest, pk: int) -> WallScreen:
    rows = WallScreen.objects.for_user(request.user).select_related("clinic")
    screen: WallScreen = load(request, rows, pk=pk)
    right_required(request, "administer", ONLY_ADMINISTRATORS)
    return screen


def _screens(
    request: StaffRequest,
    *,
    shown: dict[str, Any] | None = None,
    problem: str = "",
    status: int = 200,
) -> HttpResponse:
    rows = WallScreen.objects.for_user(request.user).filter(clinic=request.clinic, revoked_at=None)
    context = {
        "screens": rows.select_related("made_by").order_by("name", "pk"),
        "shown": shown,
        "problem": problem,
        "now": timezone.now(),
    }
    return render(request, "labs/screens.html", context, status=status)


def _link(screen: WallScreen, token: str) -> dict[str, Any]:
    # Never by the request's Host header, which the asker writes.
    address = f"{settings.PUBLIC_BASE_URL}{reverse('labs:pair_screen', args=[token])}"
    return {"screen": screen, "address": address, "picture": qr.picture(address)}


def _keep(response: HttpResponse, key: str) -> None:
    response.set_cookie(
        settings.WALL_COOKIE_NAME,
        key,
        max_age=AGE,
        secure=settings.SESSION_COOKIE_SECURE,
        httponly=True,
        samesite="Strict",
    )
