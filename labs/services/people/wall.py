"""Screens on a clinic's wall: made, paired, seen and revoked.

A screen is known by a random text in its browser, of which the database has the hash. It gets it in
exchange for that of a link, which works once and for an hour: a link stays in histories and in a
proxy's log, what the browser keeps does not.
"""

from __future__ import annotations

import hashlib
import secrets
from datetime import timedelta
from typing import TYPE_CHECKING

from django.db import transaction
from django.utils import timezone

from labs import ids, roles
from labs.errors import InvalidInput
from labs.models import Clinic, WallScreen
from labs.services.events import record

if TYPE_CHECKING:
    from django.contrib.auth.models import User

LINK = timedelta(hours=1)
SEEN = timedelta(minutes=1)  # how exactly the last sight of it is kept


def make(*, acting_user: User, clinic: Clinic, name: str) -> tuple[WallScreen, str]:
    """The screen and its link's text, which is shown once. Raises NotAllowed, InvalidInput."""
    roles.require(acting_user, clinic, "administer")
    name = " ".join(name.split())
    if not name or len(name) > 60:
        raise InvalidInput("Give the screen a name, such as where it hangs: up to 60 characters.")
    token = ids.readable(16)
    with transaction.atomic():
        screen: WallScreen = WallScreen.objects.create(
            clinic=clinic,
            name=name,
            made_by=acting_user,
            digest=_digest("link", token),
            pair_until=timezone.now() + LINK,
        )
        record("screen.made", clinic=clinic, acting_user=acting_user, screen=screen.pk)
    return screen, token


def new_link(*, acting_user: User, screen: WallScreen) -> str:
    """For a screen that lost what it knew, or another in its place: what it had opens nothing from
    now on. Raises NotAllowed, InvalidInput."""
    roles.require(acting_user, screen.clinic, "administer")
    if screen.revoked_at:
        raise InvalidInput("This screen was revoked. Make another one.")
    token = ids.readable(16)
    with transaction.atomic():
        screen.digest, screen.pair_until = _digest("link", token), timezone.now() + LINK
        screen.save(update_fields=["digest", "pair_until"])
        record("screen.link", clinic=screen.clinic, acting_user=acting_user, screen=screen.pk)
    return token


def pairable(token: str) -> WallScreen | None:
    """The screen that this link pairs now."""
    found: WallScreen | None = (
        WallScreen.objects.filter(
            digest=_digest("link", token), pair_until__gt=timezone.now(), revoked_at=None
        )
        .select_related("clinic")
        .first()
    )
    return found


def pair(token: str) -> str | None:
    """What the screen's browser keeps from now on; None where the link is spent or wrong. Of two
    that follow it at once one gets it."""
    key = secrets.token_urlsafe(32)
    with transaction.atomic():
        screen = pairable(token)
        if screen is None:
            return None
        taken = WallScreen.objects.filter(
            pk=screen.pk, digest=screen.digest, revoked_at=None
        ).update(digest=_digest("screen", key), pair_until=None, seen_at=timezone.now())
        if not taken:
            return None
        record("screen.paired", clinic=screen.clinic, source="screen", screen=screen.pk)
    return key


def known(key: str) -> WallScreen | None:
    """The paired screen that keeps this. Notes once a minute that it was seen."""
    screen: WallScreen | None = (
        WallScreen.objects.filter(digest=_digest("screen", key), pair_until=None, revoked_at=None)
        .select_related("clinic")
        .first()
    )
    now = timezone.now()
    if screen and (screen.seen_at is None or now - screen.seen_at > SEEN):
        WallScreen.objects.filter(pk=screen.pk, revoked_at=None).update(seen_at=now)
    return screen


def revoke(*, acting_user: User, screen: WallScreen) -> None:
    """At once, and for good. Raises NotAllowed."""
    roles.require(acting_user, screen.clinic, "administer")
    with transaction.atomic():
        rows = WallScreen.objects.filter(pk=screen.pk, revoked_at=None)
        if rows.update(revoked_at=timezone.now()):
            clinic = screen.clinic
            record("screen.revoked", clinic=clinic, acting_user=acting_user, screen=screen.pk)


def _digest(kind: str, token: str) -> str:
    # 79 bits and more at random: nothing to try out. The kind, so that a link is no key.
    return hashlib.sha256(f"{kind}\0{token}".encode()).hexdigest()
