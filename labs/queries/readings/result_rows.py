"""One value as the page of its request shows it: flag, range, what came before, and what is to be
known of it. Pure functions over loaded rows."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from django.utils.safestring import SafeString

from labs import charts
from labs.limits import Source
from labs.models import Attachment, Flag, LabResult, Observation
from labs.models.result import CRITICAL
from labs.queries.readings.history import Earlier, code_of
from labs.queries.readings.own_ranges import OwnRange
from labs.queries.words import FLAG_SHAPES, FLAG_WORDS, not_reported

RANGE = "computed here from the range"
LIMITS = {
    Source.DELIVERED: "computed here from the critical limits that came with the value",
    Source.CLINIC: "computed here from this clinic's critical limits",
    Source.DEMO: "computed here from demo critical limits: set your own",
}


@dataclass(frozen=True, kw_only=True)
class FlagMark:
    """A flag as a word and a shape, and who set it."""

    word: str
    shape: str
    by: str
    computed: bool


@dataclass(frozen=True, kw_only=True)
class Row:
    observation: Observation
    name: str
    flag: FlagMark | None
    sentence: str
    bar: SafeString
    range_words: str
    measuring: bool
    previous: Earlier | None
    change: str
    spark: SafeString
    before: str | None
    stale: LabResult | None
    notes: list[str]
    warnings: list[str]
    files: list[Attachment]
    void: bool
    own: OwnRange | None = None  # the clinic's own interval, beside the delivered one
    # Where what came is void: what our critical limits for the animal say of it.
    ours: FlagMark | None = None

    @property
    def code(self) -> str:
        """As it is named among the trends."""
        return code_of(self.observation)

    @property
    def is_picture(self) -> bool:
        said = self.notes or self.warnings or self.stale or self.before is not None
        return self.observation.value_kind == "attachment" and bool(self.files) and not said

    @property
    def more(self) -> bool:
        """Whether a second line follows below the row."""
        return bool(self.notes or self.warnings or self.files or self.before is not None)

    @property
    def tone(self) -> str:
        """Of the value itself: "", low, high, crit or warn."""
        if self.void:
            return charts.TONES.get(self.observation.own_flag, "")
        return charts.TONES.get(self.observation.flag, "") if self.flag else ""


def urgency(row: Row) -> int:
    """To sort by where what is abnormal comes first; rows of one kind keep the panel's order."""
    if row.tone == "crit":
        return 0
    if row.tone or row.warnings:
        return 1
    if row.observation.not_reported_reason:
        return 2
    return 3 if row.flag is None else 4


def row_of(
    row: Observation,
    current: LabResult,
    *,
    void: bool,
    older: list[Observation],
    earlier: list[Earlier],
    files: list[Attachment],
    doubts: list[str],
    loose_files: bool,
    own: OwnRange | None = None,
) -> Row:
    flag = _flag_mark(row, row.flag_delivered if void else row.flag)
    measuring = row.range_kind == "measuring"
    warnings = [*row.warnings, *doubts]
    if row.value_kind == "attachment" and not files and not loose_files:
        warnings.append("No image came with it.")
    if not void and _disagree(row):
        ours = FLAG_WORDS.get(Flag(row.flag_computed), "unknown")
        by = "critical limits" if row.flag_computed in CRITICAL else "its own range"
        warnings.append(
            f"The analyzer calls this {FLAG_WORDS.get(Flag(row.flag_delivered), 'unknown')}; "
            f"by {by} it is {ours}."
        )
    sentence = ""
    if row.not_reported_reason:
        sentence = not_reported(row.not_reported_reason)
    elif row.value_kind != "attachment" and flag is None:
        sentence = _not_assessed(row, measuring)
    numbers = [value.number for value in reversed(earlier) if value.number and not value.qualifier]
    if row.number and not row.qualifier:
        numbers.append(row.number)
    reference = not measuring and not void
    before = next(
        (old.value_text for old in reversed(older) if old.value_text != row.value_text), None
    )
    return Row(
        observation=row,
        name=row.name or (row.analyte.name if row.analyte else ""),
        flag=flag,
        sentence=sentence,
        bar=SafeString("")
        if void
        else charts.range_bar(
            row.number, row.qualifier, row.low, row.high, row.range_kind, row.flag
        ),
        range_words=row.range_text,
        measuring=measuring,
        previous=earlier[0] if earlier else None,
        change=_change(row, earlier[0]) if earlier else "",
        spark=charts.sparkline(
            numbers,
            row.low if reference else "",
            row.high if reference else "",
            ended=bool(row.number and not row.qualifier),
        )
        if earlier
        else SafeString(""),
        before=before,
        stale=None if row.result_id == current.pk else row.result,
        notes=list(row.comments),
        warnings=warnings,
        files=files,
        void=void,
        own=own,
        ours=_flag_mark(row, row.own_flag, ours=True) if void else None,
    )


def _change(row: Observation, before: Earlier) -> str:
    """`+0.4` since the value before; empty where either is no plain number."""
    if not (row.number and before.number) or row.qualifier or before.qualifier:
        return ""
    change = Decimal(row.number) - Decimal(before.number)
    return f"{change:+f}" if change and abs(change.adjusted()) <= 30 else "" if change else "±0"


def _disagree(row: Observation) -> bool:
    """Whether the analyzer's flag says something else than its own range; that one of the two calls
    it critical is no contradiction."""
    given, ours = row.flag_delivered, row.flag_computed
    return bool(ours) and given not in ("", "?", "A", "P") and given[0] != ours[0]


def _flag_mark(row: Observation, said: str, *, ours: bool = False) -> FlagMark | None:
    if row.not_reported_reason or not said:
        return None
    flag = Flag(said)
    computed = ours or said != row.flag_delivered
    by = "by the analyzer"
    if computed:
        by = LIMITS.get(row.critical_source, RANGE) if flag in CRITICAL else RANGE
    word = FLAG_WORDS[flag]
    if flag == Flag.UNKNOWN:
        word = f"unknown flag “{row.flag_delivered_text}”"
    return FlagMark(word=word, shape=FLAG_SHAPES.get(flag, ""), by=by, computed=computed)


def _not_assessed(row: Observation, measuring: bool) -> str:
    if measuring:
        return "not assessed: only a measuring range"
    if not row.range_text and not row.low and not row.high:
        return "not assessed: no range"
    return "not assessed"
