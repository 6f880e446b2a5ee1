"""The time of record: the database's own, so that machines whose clocks are a day apart agree on
what is due, whose lease has ended and how old a token is."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db import connections
from django.db.models.functions import Now
from django.utils import timezone


def now() -> Any:
    """For a statement: compare with it, store it, add a timedelta. On PostgreSQL the server's clock
    at the start of that statement; SQLite has no clock but this machine's."""
    return Now() if connections["default"].vendor == "postgresql" else timezone.now()


def read() -> datetime:
    """The same as a value; one statement on PostgreSQL."""
    connection = connections["default"]
    if connection.vendor != "postgresql":
        return timezone.now()
    with connection.cursor() as cursor:
        cursor.execute("SELECT statement_timestamp()")
        found: datetime = cursor.fetchone()[0]
    return found
