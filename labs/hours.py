"""When a clinic is open. Pure functions."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo

# Nobody asks what was longer ago; a sum over years would only be slow.
LOOKS_BACK = timedelta(days=60)


@dataclass(frozen=True, kw_only=True)
class Week:
    """`days` as ISO says, Monday is 1. `closes` before `opens` is on the next day, and the same as
    `opens` is around the clock."""

    days: Collection[int]
    opens: time
    closes: time
    zone: tzinfo

    def span(self, day: date) -> tuple[datetime, datetime] | None:
        """From opening to closing, for the opening on that day; None where it does not open."""
        if day.isoweekday() not in self.days:
            return None
        last = day if self.closes > self.opens else day + timedelta(days=1)
        # As instants: between two local times of one zone Python would not count the hour that a
        # change of the clocks takes or gives.
        return (
            datetime.combine(day, self.opens, self.zone).astimezone(UTC),
            datetime.combine(last, self.closes, self.zone).astimezone(UTC),
        )


def open_time(week: Week, start: datetime, end: datetime) -> timedelta:
    """How long the clinic was open between two instants, looking back at most 60 days."""
    start, end = start.astimezone(UTC), end.astimezone(UTC)
    start = max(start, end - LOOKS_BACK)
    total = timedelta(0)
    day = start.astimezone(week.zone).date() - timedelta(days=1)
    last = end.astimezone(week.zone).date()
    while day <= last:
        if span := week.span(day):
            total += max(timedelta(0), min(end, span[1]) - max(start, span[0]))
        day += timedelta(days=1)
    return total
