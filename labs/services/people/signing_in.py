"""Who signed in, who failed to, who left: on the record of each clinic where the person works."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib.auth.models import User

from labs.models import Membership
from labs.services.events import event, save

if TYPE_CHECKING:
    from labs.models import LabEvent


def signed_in(user: User) -> None:
    save(everywhere("staff.signed_in", user, by=user))


def signed_out(user: User) -> None:
    save(everywhere("staff.signed_out", user, by=user))


def failed(username: str, *, slowed: bool = False) -> None:
    """A name that nobody has is not kept: it may be a password in the wrong field. `slowed`: from
    now on whoever tries there must wait."""
    user = User.objects.filter(username=username).first()
    if user is not None:
        save(everywhere("staff.sign_in_failed", user, by=None))
        if slowed:
            save(everywhere("staff.sign_in_slowed", user, by=None))


def asked_for_mail(user: User) -> None:
    """By whoever typed that name or address; nobody has proven who they are."""
    save(everywhere("staff.mail_asked", user, by=None))


def password_set(user: User) -> None:
    """By the link in a mail. All of that person's sessions end with it."""
    save(everywhere("staff.password_set", user, by=user))


def password_changed(user: User) -> None:
    """By who is signed in and knows the old one."""
    save(everywhere("staff.password_changed", user, by=user))


def everywhere(
    verb: str, user: User, *, by: User | None, source: str = "sign-in", **data: Any
) -> list[LabEvent]:
    """One row for each clinic where that person works, or one for none."""
    clinics = [m.clinic for m in Membership.objects.of(user).select_related("clinic")]
    return [
        event(verb, clinic=clinic, acting_user=by, source=source, user=user.pk, **data)
        for clinic in clinics or [None]
    ]
