"""When a clinic is open, over midnight, weekends and changes of the clocks."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labs.hours import LOOKS_BACK, Week, open_time

DENVER = ZoneInfo("America/Denver")


def week(opens: str = "08:00", closes: str = "18:00", days: str = "12345") -> Week:
    return Week(
        days=frozenset(map(int, days)),
        opens=time.fromisoformat(opens),
        closes=time.fromisoformat(closes),
        zone=DENVER,
    )


def at(text: str) -> datetime:
    """A local time of Denver."""
    return datetime.fromisoformat(text).replace(tzinfo=DENVER)


@pytest.mark.parametrize(
    ("hours", "start", "end", "open_for"),
    [
        (week(), "2026-11-20T09:00", "2026-11-20T12:00", 3),
        (week(), "2026-11-20T06:00", "2026-11-20T07:59", 0),
        (week(), "2026-11-20T17:00", "2026-11-23T09:00", 2),  # Friday evening to Monday morning
        (week(), "2026-11-21T00:00", "2026-11-22T23:59", 0),  # a weekend
        (week("20:00", "06:00", "5"), "2026-11-20T19:00", "2026-11-21T05:00", 9),  # by night
        (week("00:00", "00:00", "1234567"), "2026-11-20T00:00", "2026-11-22T00:00", 48),
        (week("00:00", "00:00", "1234567"), "2026-11-01T00:00", "2026-11-02T00:00", 25),
        (week("00:00", "00:00", "1234567"), "2026-03-08T00:00", "2026-03-09T00:00", 23),
    ],
)
def test_open_time(hours: Week, start: str, end: str, open_for: int) -> None:
    assert open_time(hours, at(start), at(end)) == timedelta(hours=open_for)


def test_it_looks_back_sixty_days() -> None:
    always = week("00:00", "00:00", "1234567")
    assert open_time(always, at("2020-01-01T00:00"), at("2026-11-20T00:00")) == LOOKS_BACK


@given(
    st.integers(0, 330 * 24 * 60),
    st.timedeltas(timedelta(0), timedelta(days=20)),
    st.timedeltas(timedelta(0), timedelta(days=20)),
)
def test_parts_add_up(minutes: int, first: timedelta, second: timedelta) -> None:
    hours, begin = week(), datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=minutes)
    middle, end = begin + first, begin + first + second
    whole = open_time(hours, begin, end)
    assert whole == open_time(hours, begin, middle) + open_time(hours, middle, end)
    assert timedelta(0) <= whole <= end - begin
