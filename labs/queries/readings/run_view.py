"""What the page of a result shows of it: per run one table."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property

from labs.models import (
    Attachment,
    Flag,
    LabResult,
    ResultStatus,
    Review,
    ReviewState,
    TestRun,
)
from labs.queries.readings.result_rows import Row
from labs.queries.words import Chip


@dataclass(frozen=True, kw_only=True)
class Repeat:
    """Of several runs of one requested test: which this is, and whether a person chose it (None
    where nobody has chosen yet)."""

    number: int
    of: int
    reported: bool | None


@dataclass(frozen=True, kw_only=True)
class RunView:
    run: TestRun
    current: LabResult
    status: Chip
    rows: list[Row]
    earlier: list[LabResult]
    files: list[Attachment]
    reviews: list[Review]
    void: str
    juvenile: str
    title: str
    repeat: Repeat | None = None

    @property
    def at(self) -> datetime:
        return self.current.run_at or self.current.received_at

    @property
    def matched_at(self) -> datetime | None:
        """Where it came without a request: since when it stands here."""
        return getattr(self.current, "matched_at", None)

    @property
    def tally(self) -> list[tuple[str, str, int]]:
        """Shape, word and number of what is out of range, the worst first."""
        marks = (row.ours if row.void else row.flag for row in self.rows if row.tone)
        words = [mark for mark in marks if mark]
        shapes = (("crit", "critical"), ("high", "high"), ("low", "low"), ("abnormal", "abnormal"))
        found = []
        for shape, word in shapes:
            number = sum(flag.shape.startswith(shape) for flag in words)
            if number:
                found.append((shape, word, number))
        return found

    @property
    def partial(self) -> LabResult | None:
        """An older version of which some rows still stand: the latest message did not list all."""
        return next((row.stale for row in self.rows if row.stale), None)

    @cached_property
    def compared(self) -> bool:
        """Whether any row has an earlier value beside it."""
        return any(row.previous for row in self.rows)

    @property
    def pictures(self) -> list[Row]:
        """Rows that are nothing but their image: shown side by side below the table."""
        return [row for row in self.rows if row.is_picture]

    @property
    def lines(self) -> list[Row]:
        return [row for row in self.rows if not row.is_picture]

    @cached_property
    def within_is_ours(self) -> bool:
        """Whether the analyzer flags only what is out of range, so that each “within” was set here:
        then it is said once and not in every row."""
        within = [row for row in self.rows if row.observation.flag == Flag.NORMAL]
        return bool(within) and not any(row.observation.flag_delivered for row in within)

    @property
    def owns(self) -> str:
        """The clinic whose own ranges stand beside delivered ones; empty where none does."""
        return next((row.own.whose for row in self.rows if row.own), "")

    @property
    def to_review(self) -> bool:
        return self.run.review_state != ReviewState.REVIEWED


@dataclass(frozen=True, kw_only=True)
class Results:
    runs: list[RunView] = field(default_factory=list)
    files: list[Attachment] = field(default_factory=list)
    abnormal_first: bool = False

    @property
    def to_review(self) -> int:
        return sum(run.to_review for run in self.runs)

    @property
    def first_at(self) -> datetime | None:
        return min(
            (v.received_at for run in self.runs for v in [run.current, *run.earlier]), default=None
        )

    @property
    def reviews(self) -> list[Review]:
        found = [review for run in self.runs for review in run.reviews]
        return sorted(found, key=lambda review: review.reviewed_at, reverse=True)

    @property
    def only_preliminary(self) -> bool:
        waiting = [run for run in self.runs if run.to_review]
        return bool(waiting) and all(
            run.current.status == ResultStatus.PRELIMINARY for run in waiting
        )
