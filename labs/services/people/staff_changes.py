"""What a clinic's administrator may change about the people who work there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db import transaction

from labs import roles
from labs.errors import InvalidInput, NotAllowed
from labs.models import Membership, Role
from labs.services.events import record

if TYPE_CHECKING:
    from datetime import datetime

    from django.contrib.auth.models import User


def may_edit_login(acting_user: User, user: User) -> bool:
    """Whether the login itself (name, password, may sign in) is theirs to change: only if that
    person works nowhere else, or a new password would open another clinic (I3)."""
    if acting_user.is_superuser:
        return True
    if user.is_superuser:
        return False
    administered = (
        Membership.objects.of(acting_user)
        .filter(role__in=roles.RIGHTS["administer"])
        .values("clinic")
    )
    return not Membership.objects.filter(user=user).exclude(clinic__in=administered).exists()


def change_role(*, acting_user: User, place: Membership, role: str) -> None:
    """Raises NotAllowed for one's own place (nobody locks themselves out), InvalidInput."""
    _require(acting_user, place)
    if role not in Role.values:
        raise InvalidInput(f"“{role}” is no role.")
    with transaction.atomic():
        before, place.role = place.role, role
        place.save(update_fields=["role"])
        _keep_admin_door(place.user)
        record(
            "staff.role",
            clinic=place.clinic,
            acting_user=acting_user,
            user=place.user_id,
            before=before,
            to=role,
        )


def change_end(*, acting_user: User, place: Membership, ends_at: datetime | None) -> None:
    """When that person's access to the clinic ends by itself; None: not. Raises as
    `change_role`."""
    _require(acting_user, place)
    with transaction.atomic():
        place.ends_at = ends_at
        place.save(update_fields=["ends_at"])
        record(
            "staff.ends",
            clinic=place.clinic,
            acting_user=acting_user,
            user=place.user_id,
            ends_at=ends_at.isoformat() if ends_at else None,
        )


def change_login(
    *,
    acting_user: User,
    place: Membership,
    first_name: str,
    last_name: str,
    email: str,
    is_active: bool,
    password: str = "",
) -> None:
    """Names, address, whether the person may sign in, and a new password where one is given, which
    ends their sessions. Raises NotAllowed, InvalidInput for a weak password."""
    if not acting_user.is_superuser:
        roles.require(acting_user, place.clinic, "administer")
    user = place.user
    if not may_edit_login(acting_user, user):
        raise NotAllowed("This person works at another clinic too; ask the operator.")
    if user == acting_user and not is_active:
        raise NotAllowed("You can't shut yourself out.")
    user.first_name, user.last_name, user.email = first_name, last_name, email
    user.is_active = is_active
    if password:
        try:
            validate_password(password, user)
        except ValidationError as error:
            raise InvalidInput(" ".join(error.messages)) from error
        user.set_password(password)
    with transaction.atomic():
        user.save()
        record(
            "staff.login",
            clinic=place.clinic,
            acting_user=acting_user,
            user=user.pk,
            active=is_active,
            password=bool(password),
        )


def remove(*, acting_user: User, place: Membership) -> None:
    """Take a person's place at the clinic away. The login stays: it signed results. Raises as
    `change_role`."""
    _require(acting_user, place)
    with transaction.atomic():
        record(
            "staff.removed",
            clinic=place.clinic,
            acting_user=acting_user,
            user=place.user_id,
            role=place.role,
        )
        user = place.user
        place.delete()
        _keep_admin_door(user)


def _require(acting_user: User, place: Membership) -> None:
    if acting_user.is_superuser:
        return
    roles.require(acting_user, place.clinic, "administer")
    if place.user_id == acting_user.pk:
        raise NotAllowed("Ask another administrator to change your own place.")


def _keep_admin_door(user: User) -> None:
    """`is_staff` opens /admin/: for whoever administers a clinic, and for superusers."""
    is_staff = user.is_superuser or Membership.objects.filter(user=user, role=Role.ADMIN).exists()
    if user.is_staff != is_staff:
        user.is_staff = is_staff
        user.save(update_fields=["is_staff"])
