"""Holds made-up orphans against the real system and counts what came of it."""

from __future__ import annotations

import statistics
import time
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

from bench.matching.orphans import Case
from bench.matching.registry import Clinic as Made
from labs.models import Clinic, TestRun, UnmatchedResult
from labs.queries.orphaned import automatic, candidates

BINS = 10


@dataclass
class Tally:
    cases: int = 0
    top1: int = 0
    top3: int = 0
    top5: int = 0
    reciprocal: float = 0.0
    nobody_right: int = 0
    nobody_cases: int = 0

    def add(self, place: int | None) -> None:
        self.cases += 1
        if place is not None:
            self.top1 += place < 1
            self.top3 += place < 3
            self.top5 += place < 5
            self.reciprocal += 1 / (place + 1)

    def shares(self) -> dict[str, float]:
        cases = max(1, self.cases)
        return {
            "cases": self.cases,
            "top1": round(100 * self.top1 / cases, 2),
            "top3": round(100 * self.top3 / cases, 2),
            "top5": round(100 * self.top5 / cases, 2),
            "mrr": round(self.reciprocal / cases, 4),
        }


@dataclass
class Outcome:
    all: Tally = field(default_factory=Tally)
    named: Tally = field(default_factory=Tally)
    groups: dict[str, Tally] = field(default_factory=lambda: defaultdict(Tally))
    sure: int = 0
    sure_wrong: int = 0
    raw_sure: int = 0
    raw_sure_wrong: int = 0
    nobody: int = 0
    nobody_led: int = 0
    automatic: int = 0
    automatic_wrong: int = 0
    bins: list[list[float]] = field(default_factory=lambda: [[0, 0.0, 0] for _ in range(BINS)])
    milliseconds: list[float] = field(default_factory=list)
    # Of the processor, in this process and in the database's of SQLite, which is the same one.
    busy: list[float] = field(default_factory=list)
    wrong: list[dict[str, Any]] = field(default_factory=list)

    def report(self) -> dict[str, Any]:
        total = max(1.0, sum(count for count, _, _ in self.bins))
        error = sum(abs(p - right) for count, p, right in self.bins if count) / total
        return {
            **self.all.shares(),
            "named": self.named.shares(),
            "groups": {name: each.shares() for name, each in sorted(self.groups.items())},
            "certain": self.sure,
            "certain_wrong": self.sure_wrong,
            "p99": self.raw_sure,
            "p99_wrong": self.raw_sure_wrong,
            "nobody_cases": self.nobody,
            "nobody_led": self.nobody_led,
            "automatic": self.automatic,
            "automatic_wrong": self.automatic_wrong,
            "calibration_error": round(error, 4),
            "ms": percentiles(self.milliseconds),
            "cpu_ms": percentiles(self.busy),
        }


def percentiles(milliseconds: list[float]) -> dict[str, float]:
    times = sorted(milliseconds) or [0.0]
    return {
        "p50": round(statistics.median(times), 1),
        "p95": round(times[int(len(times) * 0.95) - (len(times) > 19)], 1),
        "p99": round(times[int(len(times) * 0.99) - (len(times) > 99)], 1),
    }


class System:
    """The queries that the matching screen and `rank_unmatched` use, on unsaved orphans."""

    def __init__(self, clinic: Clinic, made: Made) -> None:
        self.clinic = clinic
        self.day, self.staged = made.day, made.staged

    def orphan(self, case: Case) -> tuple[UnmatchedResult, list[TestRun]]:
        came = self.staged if case.staged else self.day
        unmatched = UnmatchedResult(clinic=self.clinic, typed=case.typed, created_at=came)
        run = TestRun(clinic=self.clinic, test_code="HHEM-1", test_name="CBC")
        run.shown = []  # type: ignore[attr-defined]
        return unmatched, [run]

    def measure(self, cases: list[Case]) -> Outcome:
        outcome = Outcome()
        for case in cases:
            unmatched, runs = self.orphan(case)
            start, busy = time.perf_counter(), time.process_time()
            ranked = candidates.rank(unmatched, runs=runs)
            outcome.milliseconds.append((time.perf_counter() - start) * 1000)
            outcome.busy.append((time.process_time() - busy) * 1000)
            alone, _ = automatic.would_be(unmatched, runs, ranked)
            self.count(outcome, case, ranked, alone)
        return outcome

    def count(self, outcome: Outcome, case: Case, ranked: candidates.Ranked, alone: bool) -> None:
        found = [each.patient.pk for each in ranked.found]
        truth = case.truth.number if case.truth else None
        first = ranked.found[0] if ranked.found else None
        right = first is not None and found[0] == truth
        if first is not None:
            p = first.probability
            box = outcome.bins[min(BINS - 1, int(p * BINS))]
            box[0] += 1
            box[1] += p
            box[2] += right
            outcome.raw_sure += p >= 0.99
            outcome.raw_sure_wrong += p >= 0.99 and not right
            outcome.sure += first.grade == "certain"
            outcome.sure_wrong += first.grade == "certain" and not right
            outcome.automatic += alone
            outcome.automatic_wrong += alone and not right
            if not right and (p >= 0.99 or alone):
                outcome.wrong.append(
                    {"typed": case.typed, "why": first.why, "p": p, "groups": sorted(case.groups)}
                )
        if truth is None:
            outcome.nobody += 1
            outcome.nobody_led += first is None or ranked.nobody > first.probability
            return
        place = found.index(truth) if truth in found else None
        outcome.all.add(place)
        if "nothing names it" not in case.groups:
            outcome.named.add(place)
        for group in case.groups:
            outcome.groups[group].add(place)
