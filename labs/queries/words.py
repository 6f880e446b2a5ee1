"""What people read: flags, times and numbers in words. Pure functions."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.utils import timezone

from labs.models import Flag

FLAG_WORDS = {
    Flag.NORMAL: "within",
    Flag.LOW: "low",
    Flag.HIGH: "high",
    Flag.CRITICAL_LOW: "critical low",
    Flag.CRITICAL_HIGH: "critical high",
    Flag.ABNORMAL: "abnormal",
    Flag.POSITIVE: "positive",
    Flag.UNKNOWN: "unknown flag",
}
FLAG_SHAPES = {
    Flag.LOW: "low",
    Flag.CRITICAL_LOW: "critlow",
    Flag.HIGH: "high",
    Flag.CRITICAL_HIGH: "crithigh",
    Flag.ABNORMAL: "abnormal",
    Flag.POSITIVE: "abnormal",
    Flag.UNKNOWN: "unknown",
}
NOT_REPORTED = {
    "missing": "Not reported: the analyzer sent no value.",
    "not_calculable": "Not reported: the analyzer could not calculate it.",
    "quality_control": "Not reported: the analyzer's quality control failed.",
}


@dataclass(frozen=True, kw_only=True)
class Chip:
    """A state as a word and a shape. `shape` is one of wait, run, done, warn, crit, off."""

    word: str
    shape: str


def not_reported(reason: str) -> str:
    """A sentence for one of labs.values' reasons, or for the sender's own word."""
    return NOT_REPORTED.get(reason, f"Not reported: {reason.replace('_', ' ')}.")


def clock(at: datetime) -> str:
    """A time for people, in the zone that is active: `09:36`, `21 Nov 09:36`, `3 Mar 2024`."""
    local, today = timezone.localtime(at), timezone.localdate()
    if local.date() == today:
        return f"{local:%H:%M}"
    if abs((today - local.date()).days) < 300:
        return f"{local.day} {local:%b %H:%M}"
    return f"{local.day} {local:%b %Y}"


def duration(span: timedelta) -> str:
    """`under a minute`, `26 min`, `3 h 05`, `2 days`."""
    minutes = max(0, int(span.total_seconds())) // 60
    if minutes < 1:
        return "under a minute"
    if minutes < 60:
        return f"{minutes} min"
    if minutes < 24 * 60:
        return f"{minutes // 60} h {minutes % 60:02}"
    days = minutes // (24 * 60)
    return f"{days} day" if days == 1 else f"{days} days"


def times(count: int) -> str:
    """`once`, `11 times`."""
    return "once" if count == 1 else f"{count} times"


def listed(names: Iterable[str]) -> str:
    """`CBC`, `CBC and Kidney panel`, `A, B and C`; each once."""
    *rest, last = dict.fromkeys(names)
    return f"{', '.join(rest)} and {last}" if rest else last
