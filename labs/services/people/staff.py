"""Logins for people who work at a clinic."""

from __future__ import annotations

from datetime import datetime

from django.contrib.auth.hashers import check_password
from django.contrib.auth.models import User
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db import transaction

from labs.errors import InvalidInput
from labs.models import Clinic, Membership, Role
from labs.services.clinics import sentences
from labs.services.events import record


def create_staff(
    *,
    clinic: Clinic,
    username: str,
    role: str,
    password: str,
    first_name: str = "",
    last_name: str = "",
    ends_at: datetime | None = None,
    invited: bool = False,
    acting_user: User | None = None,
) -> User:
    """Make a login and its place at the clinic, until `ends_at` if it is given. An
    administrator may also enter /admin/ (`is_staff`). `invited`: without a password, which that
    person sets by a mail (labs/services/people/letters.py).

    A username that exists is taken over only by who knows its password: then that person works at
    this clinic too, and a repeated call changes nothing. Raises InvalidInput where the name is
    taken, the password is too weak, or the person already works here in another role.
    """
    if role not in Role.values:
        raise InvalidInput(f"“{role}” is no role; the roles are {', '.join(Role.values)}.")
    user = User.objects.filter(username=username).first()
    if user is not None and not check_password(password, user.password):
        raise InvalidInput(f"The username “{username}” is taken. Choose another one.")
    with transaction.atomic():
        if user is None:
            user = _create_user(username, password, first_name, last_name, invited=invited)
        place, is_new = Membership.objects.get_or_create(
            user=user, clinic=clinic, defaults={"role": role, "ends_at": ends_at}
        )
        if place.role != role:
            raise InvalidInput(
                f"{username} already works at {clinic}, as {place.get_role_display().lower()}."
            )
        if role == Role.ADMIN and not user.is_staff:
            user.is_staff = True
            user.save(update_fields=["is_staff"])
        if is_new:
            record(
                "staff.created",
                clinic=clinic,
                acting_user=acting_user,
                source="command",
                user=user.pk,
                role=role,
                **({"ends_at": ends_at.isoformat()} if ends_at else {}),
            )
    return user


def _create_user(
    username: str, password: str, first_name: str, last_name: str, *, invited: bool
) -> User:
    user = User(username=username, first_name=first_name, last_name=last_name)
    if not password and not invited:
        raise InvalidInput("No password was given.")
    if password:
        try:
            validate_password(password, user)
        except ValidationError as error:
            raise InvalidInput(" ".join(error.messages)) from error
    user.set_password(password or None)
    try:
        user.full_clean()
    except ValidationError as error:
        raise InvalidInput(sentences(error)) from error
    user.save()
    return user
