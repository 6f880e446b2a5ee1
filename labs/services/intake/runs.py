"""Storing what a report says: each run as a new version of itself, with its rows and files."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Any, NamedTuple

from labs import quick
from labs.models import (
    Attachment,
    LabEvent,
    LabRequest,
    LabResult,
    Message,
    Observation,
    RequestedTest,
    TestRun,
    UnmatchedResult,
)
from labs.quick import Given, Records
from labs.report import File, Report, Run
from labs.services.intake import panels, versions
from labs.services.intake.files import content_type_of
from labs.services.intake.rows import digest, fit, observations
from labs.services.orders import codes
from labs.services.reviews import alarms, species

RUNS = Records(TestRun.objects.filter(request=Given("request"), unmatched=None).order_by())


def as_filed(report: Report) -> Report:
    """With each run under the key that it is stored by."""
    return replace(report, runs=_with_own_keys(report.runs))


def _with_own_keys(runs: tuple[Run, ...]) -> tuple[Run, ...]:
    """Each run of one message under a key of its own that fits its column: a sender that gives two
    runs one id still reports two runs, and a long id is not cut into another one's."""
    used: set[str] = set()
    own = []
    for run in runs:
        key, number = _short(run.key), 1
        while key in used:
            number += 1
            key = _short(f"{run.key}#{number}")
        used.add(key)
        own.append(replace(run, key=key))
    return tuple(own)


def _short(key: str) -> str:
    limit = TestRun._meta.get_field("run_key").max_length or 0
    if len(key) <= limit:
        return key
    sha256 = hashlib.sha256(key.encode()).hexdigest()
    return f"{key[: limit - len(sha256) - 1]}~{sha256}"


class Stored(NamedTuple):
    """Requested test, status and review state of each run, and audit rows that are not written."""

    runs: list[tuple[int | None, str, str]]
    happened: list[LabEvent]


def store(
    *,
    message: Message,
    report: Report,
    request: LabRequest | None,
    unmatched: UnmatchedResult | None,
    tests: list[RequestedTest],
    known: dict[str, TestRun],
) -> Stored:
    """Store each run of the report as a version, and mark what is current, in the caller's
    transaction. `tests` of the request; `known`: the runs that are there already, by their key
    (`of_request`). The head row is locked, so nobody else adds one meanwhile. The caller writes the
    audit (`Stored.happened`) with its own."""
    limits_for = species_of(report, request, unmatched)
    analytes = codes.analytes_for(message, report, limits_for)
    stored = Stored([], [])
    for run in report.runs:
        earlier = known.get(run.key)
        stored_run = earlier or new_run(message, run, request, unmatched, tests)
        result = version_of(message, report, run, stored_run)
        result.current, result.limits_for = earlier is None, limits_for
        quick.insert(result)
        rows = observations(result=result, run=stored_run, rows=run.rows, analytes=analytes)
        quick.insert_many(Observation, rows)
        _attach(message, result, run.files)
        if earlier is not None:
            versions.refresh(stored_run)
            alarms.look_again(stored_run)
        else:
            stored.happened.extend(alarms.raise_for(stored_run, result, rows))
        # A split orphan's runs stand on several.
        whose = request or stored_run.request
        if whose is not None:
            now = whose.patient.species
            if result.ranges_void(now) or limits_for != now:
                species.assess([stored_run], now)
        stored.runs.append((stored_run.requested_test_id, result.status, stored_run.review_state))
    _attach(message, None, report.files)
    return stored


def species_of(
    report: Report, request: LabRequest | None, unmatched: UnmatchedResult | None
) -> str:
    """For which critical limits are asked: the patient's; of what came without a request as typed,
    whoever it is put on later."""
    typed = report.identity.species_code if report.identity else ""
    if request is not None and (unmatched is None or not typed):
        return str(request.patient.species)
    return typed


def of_request(request: LabRequest) -> dict[str, TestRun]:
    """The runs that messages of this request have brought, by their key."""
    return {run.run_key: run for run in RUNS.all(request=request.pk)}


def version_of(message: Message, report: Report, run: Run, stored: TestRun) -> LabResult:
    """The version of a run that a report brings, not stored yet."""
    result = LabResult(
        clinic=message.clinic,
        run=stored,
        message=message,
        status=run.status,
        report_version=report.version,
        reported_at=report.reported_at,
        run_at=run.run_at,
        run_at_text=run.run_at_text,
        comments=list(run.comments),
        correction_reason=report.correction_reason,
        species=report.identity.species_code
        if report.identity and report.identity.animal
        else None,
        digest=digest(run),
    )
    fit(result)
    return result


def new_run(
    message: Message,
    run: Run,
    request: LabRequest | None,
    unmatched: UnmatchedResult | None,
    tests: list[RequestedTest],
) -> TestRun:
    stored = described(
        run,
        clinic=message.clinic,
        request=request,
        unmatched=unmatched,
        requested_test=answered(message, run, tests),
    )
    quick.insert(stored)
    return stored


def answered(message: Message, run: Run, tests: list[RequestedTest]) -> RequestedTest | None:
    """The test that a run answers. One query where it says none of ours: the clinic may order it
    under another code, and then it answers under that one."""
    found = panels.requested_test(run, tests)
    if found or not tests or not run.test_code or message.clinic is None:
        return found
    ours = codes.panel_behind(message.clinic, message.vendor, run.test_code)
    return next((test for test in tests if test.panel.code == ours), None) if ours else None


def described(run: Run, **stands: Any) -> TestRun:
    """What a report says of the run itself, as it fits, not stored yet. `stands`: where it does."""
    described = TestRun(
        **stands,
        run_key=run.key,
        test_code=run.test_code,
        test_name=run.test_name,
        category=run.category,
        analyzer_model=run.analyzer_model,
        analyzer_serial=run.analyzer_serial,
        analyzer_name=run.analyzer_name,
        specimen_type=run.specimen_type,
    )
    fit(described)
    return described


def _attach(message: Message, result: LabResult | None, files: tuple[File, ...]) -> None:
    for file in files:
        attachment_of(message, result, file).save()


def attachment_of(message: Message, result: LabResult | None, file: File) -> Attachment:
    """A file as it is stored, not stored yet."""
    kind, warnings = content_type_of(file)
    attachment = Attachment(
        message=message,
        result=result,
        attachment_id=file.attachment_id,
        file_name=file.file_name,
        content_type=kind,
        description=file.description,
        analyte_code=file.analyte_code,
        size=len(file.content),
        sha256=hashlib.sha256(file.content).hexdigest(),
        warnings=[*file.warnings, *warnings],
        content=file.content,
    )
    fit(attachment)
    return attachment
