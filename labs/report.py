"""What a laboratory reports, in our own words: what a vendor's wire module reads a message into and
`services.intake.results` files. Plain data; texts are as delivered, only made safe to store."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any, NamedTuple


@dataclass(frozen=True, kw_only=True)
class Identity:
    """Whose sample it is, as typed at the analyzer. Empty text: not given.

    `species` and `sex` hold what was typed; `species_code` (dog, cat, horse) and `sex_code` (M, F)
    what the vendor's tables make of it, empty where they make nothing of it.
    """

    animal: bool = True  # false: the message has no patient block, only a client or a doctor
    patient_id: str = ""
    patient_name: str = ""
    species: str = ""
    species_code: str = ""
    breed: str = ""
    sex: str = ""
    sex_code: str = ""
    birth_date: str = ""
    age: str = ""
    weight: str = ""
    weight_unit: str = ""
    microchip: str = ""
    owner_id: str = ""
    owner_first_name: str = ""
    owner_last_name: str = ""
    doctor: str = ""

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


class Row(NamedTuple):
    """One analyte as delivered; a tuple, because a message has dozens of them. `value` is the
    literal (`9.0`, not 9.0); None where it was absent or null; `literal` says that it came as a
    string or a number and not as something odd."""

    sequence: str = ""
    code: str = ""
    name: str = ""
    value: str | None = None
    literal: bool = True
    attachment: bool = False
    unit: str = ""
    low: str = ""
    high: str = ""
    range_text: str = ""
    range_kind: str = ""  # "reference", "measuring" or ""
    critical_low: str = ""
    critical_high: str = ""
    flag: str = ""
    not_reported_reason: str = ""
    status: str = ""
    comments: tuple[str, ...] = ()
    attachment_ids: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class File:
    """An attachment, decoded. `warnings` says what did not fit what was declared of it."""

    attachment_id: str = ""
    file_name: str = ""
    content: bytes = b""
    content_type: str = ""  # as declared
    description: str = ""
    analyte_code: str = ""
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Run:
    """One run of one test on one analyzer. `status` is one of ResultStatus."""

    key: str
    test_request_id: str = ""
    test_code: str = ""
    test_name: str = ""
    category: str = ""
    status: str
    run_at: datetime | None = None  # with a zone only; see run_at_text
    run_at_text: str = ""
    analyzer_model: str = ""
    analyzer_serial: str = ""
    analyzer_name: str = ""
    specimen_type: str = ""
    comments: tuple[str, ...] = ()
    rows: tuple[Row, ...] = ()
    files: tuple[File, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Report:
    """One message. `reported_at` is aware, or None."""

    message_id: str = ""
    lab_report_id: str = ""
    external_id: str = ""
    version: int = 0
    status: str
    reported_at: datetime | None = None
    identity: Identity | None = None
    correction_reason: str = ""
    comments: tuple[str, ...] = ()
    runs: tuple[Run, ...] = ()
    files: tuple[File, ...] = ()
    extra: dict[str, Any] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
