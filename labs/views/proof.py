"""What a session was begun with: `finish` and `take_over` are where somebody gets one."""

from __future__ import annotations

import time
from typing import Any

from django.conf import settings
from django.contrib.auth import login
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse
from django.utils.crypto import constant_time_compare

from labs.models import Membership, SecondFactor
from labs.services.events import record
from labs.services.people import pins, signing_in
from labs.views import devices
from labs.views.access import ACTIVE_CLINIC, BEGAN, PROVEN, StaffRequest

WORKSTATION = "workstation"  # the browser's name, and who signed in there with a password
PENDING = "pending"  # who has given a password and no code yet
DIRECT = "direct"  # that it was begun so, and not by PIN
HOW_LONG = 10 * 60  # seconds between the two


def proven(request: HttpRequest) -> bool:
    """Whether the session of the person who is signed in stands on what it must. No statement."""
    user: Any = request.user
    if not user.is_authenticated:
        return True
    said = request.session.get(PROVEN)
    factor: SecondFactor | None = getattr(user, "second_factor", None)
    used = factor.pk if factor is not None and factor.confirmed else None
    if said is not None:
        # Taken away since, or another one.
        return bool(used == said)
    if used and DIRECT in request.session:
        # Made since: because somebody knows the password, it may be.
        return False
    return not (settings.SECOND_FACTOR_REQUIRED and (user.is_staff or user.is_superuser))


def wait_for_code(request: HttpRequest, user: User, after: str) -> None:
    """The password was right; nobody is signed in by that."""
    request.session.flush()
    request.session[PENDING] = {
        "user": user.pk,
        # Of the password: a new one ends this too.
        "hash": user.get_session_auth_hash(),
        "until": int(time.time()) + HOW_LONG,
        "after": after,
    }


def pending(request: HttpRequest) -> tuple[User, str] | None:
    """Who waits to give a code, and where they want to go then."""
    found = request.session.get(PENDING)
    if not found or found["until"] < time.time():
        return None
    user = User.objects.filter(pk=found["user"], is_active=True).first()
    if user is None or not constant_time_compare(found["hash"], user.get_session_auth_hash()):
        return None
    return user, found["after"]


def finish(
    request: HttpRequest, response: HttpResponse, user: User, factor: SecondFactor | None = None
) -> HttpResponse:
    """Sign that person in with the password and, where there is one, the factor just proven."""
    request.session.pop(PENDING, None)
    login(request, user)
    request.session[DIRECT] = True
    if factor is not None:
        request.session[PROVEN] = factor.pk
    name = devices.remember(request, response, user.get_username())
    request.session[WORKSTATION] = {
        "name": name,
        "user": user.pk,
        "hash": user.get_session_auth_hash(),
    }
    pins.begin_anew(user, workstation=name)
    signing_in.signed_in(user)
    return response


def workstation(request: StaffRequest) -> str:
    """The name of this workstation, where a sign-in with a password still stands behind the
    session: whoever it was works at this clinic today, with the same password. Else empty."""
    found = request.session.get(WORKSTATION)
    if not found:
        return ""
    by = User.objects.filter(pk=found["user"], is_active=True).first()
    if by is None or not constant_time_compare(found["hash"], by.get_session_auth_hash()):
        return ""
    # Of two clinics' people who follow each other here, none answers for the other clinic's.
    here = Membership.objects.of(by).filter(clinic=request.clinic)
    return str(found["name"]) if here.exists() else ""


def take_over(request: StaffRequest, user: User, factor: SecondFactor | None) -> None:
    """From now on it is that colleague's session: a new key, nothing of the other's in it, and the
    twelve hours counted from the sign-in with the password."""
    began, behind = request.session.get(BEGAN), request.session[WORKSTATION]
    before, clinic = request.user, request.clinic
    login(request, user)
    request.session[BEGAN], request.session[WORKSTATION] = began, behind
    request.session[ACTIVE_CLINIC] = clinic.public_id
    if factor is not None:
        request.session[PROVEN] = factor.pk
    record("staff.switched", clinic=clinic, acting_user=user, user=user.pk, after=before.pk)
