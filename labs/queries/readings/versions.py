"""Two versions of one run beside each other, as each was shown when it was the newest."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

from labs.models import Flag, LabResult, Observation, TestRun
from labs.models.result import VOID_STATUSES
from labs.queries.words import FLAG_SHAPES, FLAG_WORDS, not_reported
from labs.services.intake.versions import current_rows, key_of, newest_readings

Identity = tuple[str, str, int]


@dataclass(frozen=True, kw_only=True)
class Version:
    """`again`: it was read anew from the same message since."""

    result: LabResult
    signed_by: str
    again: bool


@dataclass(frozen=True, kw_only=True)
class Cell:
    value: str
    unit: str
    flag: str
    shape: str
    range: str
    remarks: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Line:
    """`what` names what differs: value, unit, flag, range, remark; or that the row is new, or gone.
    Empty where both say the same."""

    code: str
    name: str
    older: Cell | None
    newer: Cell | None
    what: str


@dataclass(frozen=True, kw_only=True)
class VersionsPage:
    run: TestRun
    versions: list[Version]
    older: Version
    newer: Version
    lines: list[Line]

    @property
    def changed(self) -> int:
        return sum(bool(line.what) for line in self.lines)


def versions_page(run: TestRun, older: int = -1, newer: int = -1) -> VersionsPage | None:
    """The versions with those primary keys; by default what is current against what was signed
    last, or against the one before where nobody signed another. None where there is only one
    version. Three statements."""
    reviews = {
        review.result_id: review.reviewed_by.get_full_name() or review.reviewed_by.get_username()
        for review in run.reviews.select_related("reviewed_by").order_by("reviewed_at", "pk")
    }
    stored = list(run.versions.all())
    if len(stored) < 2:
        return None
    counting = {result.pk for result in newest_readings(stored)}
    # The newest first, a reading that was replaced behind the one that counts.
    stored.sort(key=lambda each: (key_of(each), each.reading), reverse=True)
    found = [
        Version(result=each, signed_by=reviews.get(each.pk, ""), again=each.pk not in counting)
        for each in stored
    ]
    by_pk = {each.result.pk: each for each in found}
    current = next(each for each in found if each.result.current)
    right = by_pk.get(newer, current)
    signed = [by_pk[pk] for pk in reversed(reviews) if pk != right.result.pk]
    before = found[found.index(right) + 1 :] or [each for each in found if each is not right]
    left = by_pk.get(older) or (signed or before)[0]
    rows: dict[int, list[Observation]] = defaultdict(list)
    for row in run.observations.select_related("analyte").order_by("position", "pk"):
        rows[row.result_id].append(row)
    return VersionsPage(
        run=run,
        versions=found,
        older=left,
        newer=right,
        lines=_lines(_picture(left, stored, rows), _picture(right, stored, rows)),
    )


def _picture(
    version: Version, stored: list[LabResult], rows: dict[int, list[Observation]]
) -> dict[Identity, Observation]:
    """The rows that counted while that version was the newest: a correction lists only what it
    changes, and the rest of what came before still stands."""
    result = version.result
    if result.status in VOID_STATUSES:
        return {}
    earlier = [each for each in stored if key_of(each) < key_of(result)]
    standing = [result, *newest_readings(earlier)]
    pairs = [(each, row) for each in standing for row in rows[each.pk]]
    shown = current_rows(pairs)
    return {_identity(row): row for _, row in pairs if row.pk in shown}


def _identity(row: Observation) -> Identity:
    return row.code, row.sequence, row.occurrence


def _lines(older: dict[Identity, Observation], newer: dict[Identity, Observation]) -> list[Line]:
    places = {key: row.position for rows in (older, newer) for key, row in rows.items()}
    lines = []
    for key in sorted(places, key=lambda each: (places[each], each)):
        was, now = older.get(key), newer.get(key)
        row = now or was
        if row is None:
            continue
        left, right = _cell(was), _cell(now)
        lines.append(
            Line(
                code=row.code,
                name=row.name or (row.analyte.name if row.analyte else ""),
                older=left,
                newer=right,
                what=_differs(left, right),
            )
        )
    return lines


def _cell(row: Observation | None) -> Cell | None:
    if row is None:
        return None
    flag, shape = "not assessed", ""
    if row.not_reported_reason:
        flag = not_reported(row.not_reported_reason)
    elif row.value_kind == "attachment":
        flag = "image"
    elif row.flag:
        flag, shape = FLAG_WORDS[Flag(row.flag)], FLAG_SHAPES.get(Flag(row.flag), "")
    return Cell(
        value=row.value_text.strip(),
        unit=row.unit,
        flag=flag,
        shape=shape,
        range=row.range_text,
        remarks=tuple(row.comments),
    )


def _differs(older: Cell | None, newer: Cell | None) -> str:
    if older is None:
        return "new"
    if newer is None:
        return "not there any more"
    pairs = {
        "value": (older.value, newer.value),
        "unit": (older.unit, newer.unit),
        "flag": (older.flag, newer.flag),
        "range": (older.range, newer.range),
        "remark": (older.remarks, newer.remarks),
    }
    return ", ".join(name for name, (was, now) in pairs.items() if was != now)
