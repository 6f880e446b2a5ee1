"""What two readings of one stored message differ in. Pure: nothing is loaded or stored here."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

Columns = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Field:
    """One column: what is stored and what is read today, as JSON takes it."""

    field: str
    stored: Any
    read: Any

    @property
    def words(self) -> str:
        return self.field.replace("_id", "").replace("_", " ")


@dataclass(frozen=True, kw_only=True)
class Row:
    """`change`: differs, appears (not stored) or goes (not read today)."""

    code: str
    sequence: str
    change: str
    fields: list[Field] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class File:
    file_name: str
    sha256: str
    change: str
    fields: list[Field] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class Run:
    """`about`: what is said of the run itself, such as its analyzer."""

    key: str
    test: str
    change: str
    about: list[Field] = field(default_factory=list)
    fields: list[Field] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)
    files: list[File] = field(default_factory=list)

    @property
    def version_differs(self) -> bool:
        return bool(self.change != "differs" or self.fields or self.rows)

    @property
    def differs(self) -> bool:
        return bool(self.version_differs or self.about or self.files)


@dataclass(frozen=True, kw_only=True)
class Difference:
    """All that a message read today gives otherwise than what is stored of it.

    `unreadable`: why nothing can be read from it today. `contradicts`: what it says today against
    the request that it is filed on; its place never changes by itself (I2).
    """

    receipt_id: str
    message_id: str
    clinic: str
    read_by: str
    would_read: str
    lab_report_id: str = ""
    unmatched: str = ""
    unreadable: str = ""
    contradicts: list[str] = field(default_factory=list)
    fields: list[Field] = field(default_factory=list)
    runs: list[Run] = field(default_factory=list)
    files: list[File] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.unreadable or self.fields or self.runs or self.files)

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    @property
    def digest(self) -> str:
        """The same for two that say the same."""
        return hashlib.sha256(json.dumps(self.as_json(), sort_keys=True).encode()).hexdigest()


def of_columns(stored: Columns, read: Columns) -> list[Field]:
    """Of two rows with the same columns."""
    return [
        Field(field=name, stored=_plain(stored[name]), read=_plain(value))
        for name, value in read.items()
        if stored[name] != value
    ]


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value


def of_rows(stored: list[Columns], read: list[Columns]) -> list[Row]:
    """In the order in which they are read; what goes comes last."""
    left = {_identity(row): row for row in stored}
    found = []
    for row in read:
        earlier = left.pop(_identity(row), None)
        if earlier is None:
            nothing = dict.fromkeys(row, "")
            found.append(_row(row, "appears", of_columns(nothing, row)))
        elif differing := of_columns(earlier, row):
            found.append(_row(row, "differs", differing))
    for row in left.values():
        found.append(_row(row, "goes", of_columns(row, dict.fromkeys(row, ""))))
    return found


def _row(row: Columns, change: str, fields: list[Field]) -> Row:
    return Row(code=row["code"], sequence=row["sequence"], change=change, fields=fields)


def _identity(row: Columns) -> tuple[str, str, int]:
    return row["code"], row["sequence"], row["occurrence"]
