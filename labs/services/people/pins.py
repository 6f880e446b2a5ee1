"""Colleagues who share a workstation change places by a PIN of six digits.

It is good only where one of them has signed in with a password, and for nobody who must have a
second factor without that factor. Five wrong ones of a person in a row at one workstation, or ten
wherever they were typed, and only the password helps.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from django.contrib.auth.hashers import check_password, make_password
from django.db import transaction

from labs import clock
from labs.errors import InvalidInput
from labs.models import Clinic, Membership, Pin, Tries
from labs.services.events import record, save
from labs.services.people import second_factor
from labs.services.people.guessing import pin_key
from labs.services.people.signing_in import everywhere

if TYPE_CHECKING:
    from django.contrib.auth.models import User

DIGITS = 6
AT_ONE_PLACE = 5
ANYWHERE = 10
# Shapes that fingers draw on a keypad.
DRAWN = frozenset(
    ["147258", "258369", "147369", "159753", "357159", "123654", "456123", "789456", "147896"]
)


@dataclass(frozen=True, kw_only=True)
class Colleague:
    """Somebody who may take the workstation over. `needs_code`: of their app as well."""

    user: User
    role: str
    needs_code: bool


def check(pin: str) -> None:
    """Raises InvalidInput: not six digits, or among the first that anybody tries: a row (`234567`,
    `864208`), a repetition (`121212`), pairs (`112233`), a mirror (`123321`), two digits only, or a
    shape on the keypad."""
    if not (pin.isascii() and pin.isdigit() and len(pin) == DIGITS):
        raise InvalidInput(f"A PIN has {DIGITS} digits.")
    steps = {(int(b) - int(a)) % 10 for a, b in pairwise(pin)}
    halves = {int(b) - int(a) for a, b in pairwise((pin[:2], pin[2:4], pin[4:]))}
    repeats = pin in (pin[:2] * 3, pin[:3] * 2)
    paired = pin[0::2] == pin[1::2]
    if (
        len(steps) == 1
        or len(halves) == 1
        or repeats
        or paired
        or pin == pin[::-1]
        or len(set(pin)) < 3
        or pin in DRAWN
    ):
        raise InvalidInput(
            "This PIN is one of those that are tried first. Take six digits without a pattern."
        )


def set_pin(user: User, pin: str) -> None:
    """Raises InvalidInput."""
    check(pin)
    with transaction.atomic():
        Pin.objects.update_or_create(
            user=user, defaults={"digest": make_password(pin), "failures": 0}
        )
        save(everywhere("staff.pin_set", user, by=user))


def take_off(user: User) -> None:
    with transaction.atomic():
        if Pin.objects.filter(user=user).delete()[0]:
            save(everywhere("staff.pin_off", user, by=user))


def has_pin(user: User) -> bool:
    return bool(Pin.objects.filter(user=user).exists())


def begin_anew(user: User, *, workstation: str) -> None:
    """That person has signed in with the password there."""
    Pin.objects.filter(user=user, failures__gt=0).update(failures=0)
    Tries.objects.filter(key=pin_key(user.pk, workstation)).delete()


def colleagues(clinic: Clinic, *, besides: User) -> list[Colleague]:
    """Who works at that clinic today and has a PIN. One statement."""
    places = (
        Membership.objects.filter(clinic=clinic, user__is_active=True)
        .working()
        .exclude(user=besides)
        .exclude(user__pin=None)
        .select_related("user", "user__second_factor")
        .defer("user__second_factor__key")
        .order_by("user__first_name", "user__last_name", "user__username")
    )
    return [
        Colleague(
            user=place.user,
            role=place.get_role_display(),
            needs_code=second_factor.required_of(place.user, place.role),
        )
        for place in places
    ]


def guess(*, user: User, clinic: Clinic, pin: str, workstation: str) -> str:
    """`right`, `wrong`, or `locked`: not looked at. Counted under a lock, so that a thousand at
    once are a thousand."""
    with transaction.atomic():
        row = Pin.objects.select_for_update().filter(user=user).first()
        if row is None:
            return "wrong"
        here, _ = Tries.objects.select_for_update().get_or_create(
            key=pin_key(user.pk, workstation), defaults={"count": 0, "last_at": clock.read()}
        )
        if here.count >= AT_ONE_PLACE or row.failures >= ANYWHERE:
            return "locked"
        if check_password(pin, row.digest):
            here.delete()
            row.failures = 0
            row.save(update_fields=["failures"])
            return "right"
        here.count, here.last_at = here.count + 1, clock.read()
        here.save(update_fields=["count", "last_at"])
        row.failures += 1
        row.save(update_fields=["failures"])
        what = {"clinic": clinic, "source": "sign-in", "user": user.pk}
        record("staff.pin_failed", **what)
        if here.count >= AT_ONE_PLACE or row.failures >= ANYWHERE:
            record("staff.pin_locked", **what)
            return "locked"
        return "wrong"
