"""What is kept no longer than it must be."""

from __future__ import annotations

from datetime import timedelta

from django.conf import settings
from django.db import connection, transaction
from django.utils import timezone

from labs.models import EventWords, LabEvent

AT_ONCE = 10_000


def forget_old_events() -> int:
    """Delete the audit's rows that are older than AUDIT_RETENTION_DAYS, the oldest first and some
    at a time; the database lets no others go. Returns how many."""
    table, words = LabEvent._meta.db_table, EventWords._meta.db_table
    # An hour more than the database asks for: its clock may be behind ours.
    before = timezone.now() - timedelta(days=settings.AUDIT_RETENTION_DAYS, hours=1)
    old = f"(SELECT id FROM {table} WHERE at < %s ORDER BY id LIMIT {AT_ONCE})"  # noqa: S608 - ours
    when = [connection.ops.adapt_datetimefield_value(before)]
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"DELETE FROM {words} WHERE event_id IN {old}", when)  # noqa: S608 - ours
        cursor.execute(f"DELETE FROM {table} WHERE id IN {old}", when)  # noqa: S608 - ours
        return int(cursor.rowcount)
