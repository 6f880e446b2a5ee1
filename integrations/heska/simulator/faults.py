"""The rules that stand, which of them acts, and what each has done. Thread-safe and bounded."""

from __future__ import annotations

import itertools
import threading
import time
from collections import deque
from dataclasses import dataclass, field
from typing import Any

from .cloud import now
from .rules import Event, Rule

LOGGED = 200
MOST_RULES = 100


@dataclass
class Standing:
    """A rule with its counters."""

    number: int
    rule: Rule
    since: float = field(default_factory=time.monotonic)
    met: int = 0
    acted: int = 0


class Faults:
    """Rules in the order in which they were set; the first that applies acts."""

    def __init__(self, rules: tuple[Rule, ...] = ()) -> None:
        self._lock = threading.Lock()
        self._numbers = itertools.count(1)
        self._standing = [Standing(next(self._numbers), rule) for rule in rules]
        self._log: deque[dict[str, Any]] = deque(maxlen=LOGGED)

    def add(self, rule: Rule) -> int | None:
        """Set a rule; its number, or None where there are too many already."""
        with self._lock:
            if len(self._standing) >= MOST_RULES:
                return None
            standing = Standing(next(self._numbers), rule)
            self._standing.append(standing)
            return standing.number

    def remove(self, number: int | None) -> bool:
        """Take a rule away, all of them for None; False if there is none with that number."""
        with self._lock:
            before = len(self._standing)
            self._standing = [e for e in self._standing if number not in (None, e.number)]
            return number is None or len(self._standing) < before

    def __bool__(self) -> bool:
        """Whether there is any rule: without one nobody needs to read what an event is about."""
        return bool(self._standing)

    def choose(self, event: Event) -> Rule | None:
        """The rule that acts on this event. Every rule that it fits counts it, also where an
        earlier one acts: so “the first 3” and “the first 6” one after the other are 3 and 3."""
        moment = time.monotonic()
        chosen: Standing | None = None
        with self._lock:
            for each in self._standing:
                if not each.rule.fits(event, moment - each.since):
                    continue
                each.met += 1
                if chosen is None and each.rule.acts(each.met):
                    chosen = each
            if chosen is None:
                return None
            chosen.acted += 1
            self._log.append(
                {
                    "at": now().isoformat(),
                    "rule": chosen.number,
                    "do": chosen.rule.do,
                    "on": event.on,
                    "clinic_id": event.clinic_id or None,
                    "lab_report_id": event.lab_report_id or None,
                }
            )
            return chosen.rule

    def snapshot(self) -> dict[str, Any]:
        """Rules and what they did, the newest deed first."""
        with self._lock:
            return {
                "faults": [
                    {
                        "number": each.number,
                        "on": each.rule.on,
                        "do": each.rule.do,
                        "what": each.rule.what(),
                        "when": each.rule.when(),
                        "met": each.met,
                        "acted": each.acted,
                    }
                    for each in self._standing
                ],
                "fault_log": list(reversed(self._log)),
            }
