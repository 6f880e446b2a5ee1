"""Who asks, and for which clinic. Every view of the staff site goes through `staff_required`."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar, cast
from urllib.parse import urlsplit

from django.conf import settings
from django.contrib.auth import logout
from django.contrib.auth.models import User
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.db.models import Model, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils import timezone
from django.utils.crypto import salted_hmac
from django_htmx.http import HttpResponseClientRedirect
from django_htmx.middleware import HtmxDetails

from labs.models import Clinic, Membership, Role
from labs.queries.overview.nav import Nav
from labs.querysets import works_now
from labs.quick import Given, Records
from labs.roles import RIGHTS

P = ParamSpec("P")
Row = TypeVar("Row", bound=Model)
NOT_FOR_THE_DESK = (
    "This page shows results that no veterinarian has reviewed yet. At the front desk you find a "
    "reviewed result under Patients."
)
PROVEN = "second_factor"  # the session's key: primary key of the factor that was proven
ENTERED = "entered_clinics"  # the session's key: primary key of the clinic, until when
BEGAN = "began_at"  # the session's key: seconds, of the sign-in with a password
IDLE = "idle_minutes"  # the session's key: what the clinic says, for pims/idle.py
ACTIVE_CLINIC = "clinic"  # the session's key; its value is a clinic's public id
# Of a person, who is active if they are signed in.
PLACES = Records(
    Membership.objects.filter(works_now(now=Given("now")), user=Given("user")).order_by(
        "clinic__name", "pk"
    ),
    clinic=(),
)


class StaffRequest(HttpRequest):
    """A request of a person who works at `clinic`: what `staff_required` makes of a request."""

    user: User
    htmx: HtmxDetails
    clinic: Clinic
    memberships: list[Membership]
    rights: frozenset[str]
    nav: Nav  # where the view has counted already
    at_desk_too: bool  # whether the page is one for the front desk as well


def staff_required(
    view: Callable[Concatenate[StaffRequest, P], HttpResponse],
) -> Callable[Concatenate[HttpRequest, P], HttpResponse]:
    """Only for people who work at a clinic; the clinic is the session's, else the first of theirs,
    and times are shown in its zone. Costs one query beyond session and user."""

    @wraps(view)
    def wrapper(request: Any, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
        if not request.user.is_authenticated:
            return _to_login(request)
        request.at_desk_too = True
        request.memberships = PLACES.all(user=request.user.pk, now=timezone.now())
        if not proven_as_administrator(request):
            logout(request)
            return _to_login(request)
        if not request.memberships:
            return render(request, "labs/no_clinic.html", status=403)
        chosen = request.session.get(ACTIVE_CLINIC)
        _enter(
            request,
            next(
                (m for m in request.memberships if m.clinic.public_id == chosen),
                request.memberships[0],
            ),
        )
        with timezone.override(request.clinic.zone):
            return view(request, *args, **kwargs)

    return cast("Callable[Concatenate[HttpRequest, P], HttpResponse]", wrapper)


def person_required(
    view: Callable[Concatenate[Any, P], HttpResponse],
) -> Callable[Concatenate[HttpRequest, P], HttpResponse]:
    """Anybody who is signed in, also an operator, who works at no clinic: what is their own."""

    @wraps(view)
    def wrapper(request: Any, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
        if not request.user.is_authenticated:
            return _to_login(request)
        if Membership.objects.of(request.user).exists():
            return staff_required(view)(request, *args, **kwargs)
        return view(request, *args, **kwargs)

    return cast("Callable[Concatenate[HttpRequest, P], HttpResponse]", wrapper)


def proven_as_administrator(request: StaffRequest) -> bool:
    """The middleware asks it of whoever may enter /admin/; here of the role itself."""
    is_one = any(place.role == Role.ADMIN for place in request.memberships)
    return not (is_one and settings.SECOND_FACTOR_REQUIRED) or PROVEN in request.session


def laboratory_required(
    view: Callable[Concatenate[StaffRequest, P], HttpResponse],
) -> Callable[Concatenate[HttpRequest, P], HttpResponse]:
    """`staff_required`, for whoever may see results before a vet has: not the front desk."""

    @wraps(view)
    def wrapper(request: StaffRequest, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
        request.at_desk_too = False
        right_required(request, "unreviewed", NOT_FOR_THE_DESK)
        return view(request, *args, **kwargs)

    return staff_required(cast("Callable[Concatenate[StaffRequest, P], HttpResponse]", wrapper))


def right_required(request: StaffRequest, right: str, sentence: str) -> None:
    """Raises PermissionDenied with a sentence for the person."""
    if right not in request.rights:
        raise PermissionDenied(sentence)


def load(request: StaffRequest, rows: QuerySet[Row], **lookup: Any) -> Row:
    """That row of one of the person's clinics, or 404: another clinic's is missing like one that
    never was. Where it belongs to another clinic of theirs, the page is shown as that clinic's.

    `rows` is a queryset already narrowed by `for_user`.
    """
    row = get_object_or_404(rows, **lookup)
    clinic_id = row.pk if isinstance(row, Clinic) else getattr(row, "clinic_id", request.clinic.pk)
    if clinic_id != request.clinic.pk:
        _enter(request, next(m for m in request.memberships if m.clinic_id == clinic_id))
        timezone.activate(request.clinic.zone)
        if not request.at_desk_too:
            # Who is a vet here may be at the front desk there.
            right_required(request, "unreviewed", NOT_FOR_THE_DESK)
    return row


def rights_of(place: Membership) -> frozenset[str]:
    return frozenset(right for right, roles in RIGHTS.items() if place.role in roles)


def _enter(request: StaffRequest, membership: Membership) -> None:
    if request.session.get(IDLE, settings.SESSION_IDLE_MINUTES) != membership.clinic.idle_minutes:
        request.session[IDLE] = membership.clinic.idle_minutes
    request.clinic = membership.clinic
    request.rights = rights_of(membership)


def clinics_with(request: HttpRequest, right: str) -> dict[int, str]:
    """The clinics in which that person has that right, and for a superuser those that they have
    entered with a reason: primary key and time zone. One query for each request and right."""
    known: dict[str, dict[int, str]] = request.__dict__.setdefault("_clinics_with", {})
    if right not in known:
        # One Q, so that person and role are asked of the same row of Membership.
        mine = Q(
            works_now("membership"),
            membership__user=request.user.pk,
            membership__user__is_active=True,
            membership__role__in=RIGHTS[right],
        )
        if request.user.is_superuser:
            mine |= Q(pk__in=entered(request))
        rows = Clinic.objects.filter(mine).distinct().order_by("pk")
        known[right] = dict(rows.values_list("pk", "timezone"))
    return known[right]


def entered(request: HttpRequest) -> list[int]:
    """The clinics that a superuser has entered, of which the time is not up. No query."""
    now = timezone.now().timestamp()
    return [int(pk) for pk, until in request.session.get(ENTERED, {}).items() if until > now]


def who(request: HttpRequest) -> str:
    """Tells one person from another on this installation, and names nobody."""
    return salted_hmac("labs.who", str(request.user.pk), algorithm="sha256").hexdigest()[:16]


def _to_login(request: HttpRequest) -> HttpResponse:
    # A part of a page must not be replaced by the sign-in form: the whole page goes there.
    htmx: HtmxDetails = request.htmx  # type: ignore[attr-defined]
    if not htmx:
        return redirect_to_login(request.get_full_path())
    page = urlsplit(htmx.current_url_abs_path or "/")
    return HttpResponseClientRedirect(
        redirect_to_login(page.path + (f"?{page.query}" if page.query else "")).url
    )
