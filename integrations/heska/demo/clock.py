"""The demo's rows are made by the real services, only earlier: for them the clock is set back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from unittest import mock


@contextmanager
def clock(moment: datetime) -> Iterator[datetime]:
    """Within, `django.utils.timezone.now()` and the time of record are that moment, so every row is
    dated as if it had been made then. For a command of one thread only."""
    with (
        mock.patch("django.utils.timezone.now", lambda: moment),
        mock.patch("labs.clock.now", lambda: moment),
        mock.patch("labs.clock.read", lambda: moment),
    ):
        yield moment
