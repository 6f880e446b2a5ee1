"""A result message read into our own words. All field names [assumed], by examples 06 to 08."""

from __future__ import annotations

import base64
import binascii
import hashlib
import html
from datetime import UTC, datetime, tzinfo
from typing import Any

from integrations.heska.wire.reader import Account, Reader, normal
from integrations.heska.wire.tables import (
    RANGE_KIND_IN,
    REASON_IN,
    SEX_IN,
    SPECIES_IN,
    STATUS_IN,
    VALUE_TYPE_IN,
    words,
)
from labs.report import File, Identity, Report, Row, Run
from labs.values import read_number

MAX_NODES = 20_000
MAX_ROWS = 2_000
MAX_MESSAGES = 1_000  # in one array
SIGNS = ("<", ">", "<=", ">=", "≤", "≥")
FIRST_YEAR, LAST_YEAR = 1900, 9000
WRAPPERS = ("results", "labreports")


class NotUnderstood(Exception):
    """Well-formed JSON in which no result was found; `str()` says why, for people."""


def messages(value: Any) -> list[Any] | None:
    """The members where a body holds several messages (a list, or a `Results` or `LabReports`
    wrapper), None where it is one message itself."""
    if isinstance(value, list):
        return value
    if isinstance(value, dict) and len(value) == 1:
        ((key, inner),) = value.items()
        if normal(key) in WRAPPERS and isinstance(inner, list):
            return inner
    return None


def report(value: Any, zone: tzinfo) -> Report:
    """Read one message. Every leaf ends in a field or in `Report.extra`.

    `zone` is the clinic's, for times without one. Raises NotUnderstood.
    """
    if not isinstance(value, dict):
        raise NotUnderstood("This is JSON, but no message: it is not an object.")
    if _nodes(value) > MAX_NODES:
        raise NotUnderstood(f"It has more than {MAX_NODES} values.")
    account = Account()
    with Reader(value, "", account) as top:
        tests = top.children("Tests")
        if not tests:
            raise NotUnderstood("No “Tests” were found in it.")
        status = _status(top, "")
        identity = _identity(top)
        read = Report(
            message_id=top.typed("MessageId"),
            lab_report_id=top.text("LabReportId"),
            external_id=top.text("HeskaReportId"),
            version=top.number("ReportVersion") or 0,
            status=status,
            reported_at=_moment(top, "ReportedAt", zone),
            identity=identity,
            correction_reason=top.text("CorrectionReason"),
            comments=top.texts("Comments"),
            runs=tuple(_run(test, status, zone, position) for position, test in enumerate(tests)),
            files=_files(top),
        )
    if sum(len(run.rows) for run in read.runs) > MAX_ROWS:
        raise NotUnderstood(f"It has more than {MAX_ROWS} analytes.")
    return Report(
        **{**vars(read), "extra": account.extra, "warnings": tuple(account.warnings)},
    )


def _nodes(value: Any) -> int:
    if isinstance(value, dict):
        value = value.values()
    elif not isinstance(value, list):
        return 1
    return (
        1
        + len(value)
        + sum(_nodes(inner) - 1 for inner in value if isinstance(inner, (dict, list)))
    )


def _status(reader: Reader, inherited: str) -> str:
    """A word of ours. Without one the message's own holds, else Final; an unknown word never closes
    a test: it is taken as preliminary."""
    known = reader.word("Status", STATUS_IN)
    return "preliminary" if known is None else known or inherited or "final"


def _identity(top: Reader) -> Identity | None:
    """Who it is said to be. None where the message has no patient, client or doctor block: a
    correction without one speaks of the same animal as before."""
    patient, client, doctor = (top.child(name) for name in ("Patient", "Client", "Doctor"))
    if patient is None and client is None and doctor is None:
        return None
    empty = Reader({}, "", top.account)
    with patient or empty as p, client or empty as c, doctor or empty as d:
        # As typed at the analyzer, with every space: it is what a person has to judge by.
        species, sex = p.typed("Species"), p.typed("Sex")
        first, last, full = d.text("FirstName"), d.text("LastName"), d.typed("Name")
        if full:
            d.keep("FirstName", "LastName")
        birth_date = p.typed("DateOfBirth")
        if not _date(birth_date):
            p.keep("DateOfBirth")
        return Identity(
            animal=patient is not None,
            patient_id=p.typed("PatientId"),
            patient_name=p.typed("Name"),
            species=species,
            species_code=SPECIES_IN.get(words(species), ""),
            breed=p.typed("Breed"),
            sex=sex,
            sex_code=SEX_IN.get(words(sex), ""),
            birth_date=_date(birth_date),
            age=p.typed("Age"),
            weight=p.typed("Weight"),
            weight_unit=p.typed("WeightUnit"),
            microchip=p.typed("MicrochipNumber"),
            owner_id=c.typed("ClientId"),
            owner_first_name=c.typed("FirstName"),
            owner_last_name=c.typed("LastName"),
            doctor=full or ", ".join(part for part in (last, first) if part),
        )


def _run(test: Reader, message_status: str, zone: tzinfo, position: int) -> Run:
    with test:
        code = test.text("TestCode")
        run_at_text = test.text("RunAt")
        analyzer = test.child("Analyzer") or Reader({}, "", test.account)
        with analyzer:
            kind, model = analyzer.text("Type"), analyzer.text("Model")
            serial, name = analyzer.text("SerialNumber"), analyzer.text("Name")
            category = test.text("Category") or kind
            if kind != category:
                analyzer.keep("Type")
        test_name = test.text("TestName")
        # Compared as it is: two ids that differ in a space are two runs.
        key = test.typed("TestRunId") or "|".join((code or test_name, serial, run_at_text))
        return Run(
            key=key if key.strip("|") else f"part {position}",
            test_request_id=test.text("TestRequestId"),
            test_code=code,
            test_name=test_name,
            category=category,
            status=_status(test, message_status),
            run_at=_time(run_at_text, zone),
            run_at_text=run_at_text,
            analyzer_model=model,
            analyzer_serial=serial,
            analyzer_name=name,
            specimen_type=test.text("SampleType"),
            comments=test.texts("Comments"),
            rows=tuple(_row(row) for row in test.children("Results")),
            files=_files(test),
        )


def _row(row: Reader) -> Row:
    with row:
        value, literal = row.literal("Value")
        files = row.texts("AttachmentIds")
        range_kind = row.word("ReferenceType", RANGE_KIND_IN)
        reason = row.text("NotReportedReason")
        number = read_number((value or "").lstrip("<>=≤≥ "))
        row.redundant("NumericValue", _said(value, number))
        sign = html.unescape(row.text("Qualifier"))
        if not sign or sign == html.unescape(_said(value, None)):
            pass  # it is in the value too
        elif sign in SIGNS and value is not None and read_number(value) is not None:
            # The value alone would be read as just that number.
            value = f"{sign} {value}"
            row.account.warnings.append("Qualifier came apart from its value; it was put to it.")
        else:
            row.keep("Qualifier")
        value_type = row.word("ValueType", VALUE_TYPE_IN)
        known_reason = ""
        if reason:
            known_reason = REASON_IN.get(words(reason), words(reason)[:32])
            if words(reason) not in REASON_IN:
                row.keep("NotReportedReason")
        if (
            value_type == "not_reported"
            and not known_reason
            and read_number(value or "") is not None
        ):
            known_reason = "missing"  # else the number would be read as one that was measured
        return Row(
            sequence=row.text("Sequence"),
            code=row.text("AnalyteCode"),
            name=row.text("AnalyteName"),
            value=value,
            literal=literal,
            attachment=value_type == "attachment" or bool(files),
            unit=row.text("Units"),
            low=row.text("ReferenceLow"),
            high=row.text("ReferenceHigh"),
            range_text=row.text("ReferenceText"),
            range_kind="unknown" if range_kind is None else range_kind,
            critical_low=row.text("CriticalLow"),
            critical_high=row.text("CriticalHigh"),
            flag=row.text("AbnormalFlag"),
            not_reported_reason=known_reason,
            status=row.word("Status", STATUS_IN) or "",
            comments=row.texts("Comments"),
            attachment_ids=files,
        )


def _said(value: str | None, number: Any) -> str:
    """What `NumericValue` or `Qualifier` would repeat of the value: its number, or its sign."""
    text = (value or "").strip()
    digits = text.lstrip("<>=≤≥ ")
    return digits if number is not None else text[: len(text) - len(digits)].strip()


def _files(holder: Reader) -> tuple[File, ...]:
    return tuple(_file(attachment) for attachment in holder.children("Attachments"))


def _file(attachment: Reader) -> File:
    with attachment:
        data = attachment.text("Data")
        size, sha256 = attachment.text("SizeBytes"), attachment.text("Sha256")
        warnings = []
        try:
            # Lines of 76 characters, as in e-mail, are base64 too.
            content = base64.b64decode("".join(data.split()), validate=True)
        except (binascii.Error, ValueError):
            content = data.encode()
            warnings.append("It is not base64; what came is kept as it is.")
        if size and size != str(len(content)):
            warnings.append(f"Declared as {size[:20]} bytes, but it has {len(content)}.")
            attachment.keep("SizeBytes")
        if sha256 and sha256.lower() != hashlib.sha256(content).hexdigest():
            warnings.append("Its SHA-256 is not the declared one.")
            attachment.keep("Sha256")
        return File(
            attachment_id=attachment.text("AttachmentId"),
            file_name=attachment.text("FileName"),
            content=content,
            content_type=attachment.text("ContentType"),
            description=attachment.text("Description"),
            analyte_code=attachment.text("AnalyteCode"),
            warnings=tuple(warnings),
        )


def _date(text: str) -> str:
    """`0001-01-01` is .NET's way to say none."""
    return "" if text.startswith("0001-01-01") else text


def _moment(reader: Reader, name: str, zone: tzinfo) -> datetime | None:
    """A time, else None and kept."""
    moment = _time(reader.text(name), zone)
    if moment is None:
        reader.keep(name)
    return moment


def _time(text: str, zone: tzinfo) -> datetime | None:
    """Aware, or None where it cannot be read. Without a zone it is the clinic's.

    .NET's first and last moment mean none, and like any far year they cannot be shown in every
    zone."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    try:
        aware = moment if moment.tzinfo else moment.replace(tzinfo=zone)
        year = aware.astimezone(UTC).year
    except (OverflowError, ValueError):
        return None
    return aware if FIRST_YEAR <= year <= LAST_YEAR else None
