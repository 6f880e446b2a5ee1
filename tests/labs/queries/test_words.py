from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from django.utils import timezone

from labs.queries import words

NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("span", "expected"),
    [
        (timedelta(seconds=-5), "under a minute"),
        (timedelta(seconds=59), "under a minute"),
        (timedelta(minutes=26), "26 min"),
        (timedelta(minutes=65), "1 h 05"),
        (timedelta(hours=24), "1 day"),
        (timedelta(days=3, hours=2), "3 days"),
    ],
)
def test_duration(span: timedelta, expected: str) -> None:
    assert words.duration(span) == expected


def test_a_time_is_as_short_as_it_can_be() -> None:
    with time_machine.travel(NOON, tick=False), timezone.override("America/Denver"):
        assert words.clock(NOON) == "05:00"
        assert words.clock(NOON - timedelta(hours=6)) == "1 Mar 23:00"
        assert words.clock(NOON - timedelta(days=700)) == "1 Apr 2024"


def test_an_unknown_reason_is_still_a_sentence() -> None:
    assert words.not_reported("sample_clotted") == "Not reported: sample clotted."
