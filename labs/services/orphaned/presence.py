"""“Ana is looking at this”: a hint, so that two people need not decide the same thing. Nothing
depends on it; where it cannot be kept it is not shown."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import TYPE_CHECKING

from django.db import DatabaseError, transaction
from django.utils import timezone

from labs.models import Looking, UnmatchedResult

if TYPE_CHECKING:
    from django.contrib.auth.models import User

log = logging.getLogger(__name__)

LASTS = timedelta(seconds=60)


def is_here(*, user: User, unmatched: UnmatchedResult) -> None:
    """That this person has just done something on the result's page; that the page asks by itself
    is no such thing. Forgets who was there a minute ago. Three statements at most."""
    now = timezone.now()
    try:
        with transaction.atomic():
            Looking.objects.filter(at__lt=now - LASTS).delete()
            mine = Looking.objects.filter(unmatched=unmatched, user=user)
            if not mine.update(at=now):
                row = Looking(unmatched=unmatched, user=user, at=now)
                Looking.objects.bulk_create([row], ignore_conflicts=True)
    except DatabaseError:
        log.info("Who looks at unmatched result %s was not noted", unmatched.pk, exc_info=True)


def others(*, user: User, unmatched: UnmatchedResult) -> list[User]:
    """Who else did something there within the last minute; nobody where that cannot be read."""
    since = timezone.now() - LASTS
    rows = Looking.objects.filter(unmatched=unmatched, at__gte=since).exclude(user=user)
    try:
        with transaction.atomic():
            return [row.user for row in rows.select_related("user").order_by("user__username")]
    except DatabaseError:
        log.info("Who looks at unmatched result %s was not read", unmatched.pk, exc_info=True)
        return []
