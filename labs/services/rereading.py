"""Reading filed messages again with a newer adapter: what would differ, and putting it in place.

Only what a message says may differ, never where it went: no re-reading moves a result (I2). Both
comparing and applying build the rows as filing does, so what applying stores is what comparing
showed, and afterwards nothing differs.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from django.db import transaction

from labs import roles, vendors
from labs.errors import NotReadable
from labs.models import (
    Attachment,
    LabRequest,
    LabResult,
    Message,
    MessageState,
    Observation,
    RequestedTest,
    ResultStatus,
    TestRun,
    UnmatchedResult,
)
from labs.report import File, Identity, Report, Run
from labs.services import codes, differences, quick, runs, states, versions
from labs.services.differences import Difference
from labs.services.events import record
from labs.services.identity import contradictions, newly_contradicts
from labs.services.results import as_read
from labs.services.rows import Known, observations

if TYPE_CHECKING:
    from django.contrib.auth.models import User
    from django.db.models import QuerySet

log = logging.getLogger(__name__)

BATCH = 200
OF_MESSAGE = ("message_id", "extra", "warnings")
OF_VERSION = (
    "status",
    "report_version",
    "reported_at",
    "run_at",
    "run_at_text",
    "comments",
    "correction_reason",
    "species",
)
OF_RUN = (
    "test_code",
    "test_name",
    "category",
    "analyzer_model",
    "analyzer_serial",
    "analyzer_name",
    "specimen_type",
)
OF_FILE = (
    "attachment_id",
    "file_name",
    "content_type",
    "description",
    "analyte_code",
    "warnings",
)
NOT_READ = {"id", "result_id", "run_id", "current"}
OF_ROW = [
    column.attname for column in Observation._meta.concrete_fields if column.attname not in NOT_READ
]


def filed(messages: QuerySet[Message]) -> QuerySet[Message]:
    """Those of them from which something was filed. An array is read by its parts."""
    return messages.filter(
        direction=Message.Direction.IN,
        state__in=[MessageState.FILED, MessageState.UNMATCHED],
        parts=None,
    )


def each(messages: QuerySet[Message]) -> Iterator[int]:
    """Their primary keys in order, a batch at a time: neither memory nor a cursor is held over any
    number of them, and what is read again meanwhile is not met twice."""
    last = 0
    while batch := list(
        messages.filter(pk__gt=last).order_by("pk").values_list("pk", flat=True)[:BATCH]
    ):
        yield from batch
        last = batch[-1]


def compare(pk: int) -> Difference | None:
    """What this message, filed before, gives otherwise as it is read today. None: nothing. Changes
    nothing."""
    message = _message(pk)
    report, unreadable = _read(message)
    if report is None:
        return _difference(message, unreadable=unreadable)
    plan = _plan(message, report, _place(message))
    return plan.difference or None


def apply(
    pk: int,
    *,
    acting_user: User | None = None,
    source: str = "command",
    although: bool = False,
) -> tuple[Difference | None, bool]:
    """Store what differs as another reading, in one transaction with its audit. Idempotent. What
    was read before stays stored; a review of something else than what is shown now opens again.

    Nothing is stored of a message that cannot be read today, nor, unless `although`, of one that
    now contradicts the request it is filed on: a person has to look. Returns what differed, and
    whether it is in place now.
    """
    message = _message(pk)
    if acting_user is not None and message.clinic is not None:
        roles.require(acting_user, message.clinic, "administer")
    report, unreadable = _read(message)
    if report is None:
        return _difference(message, unreadable=unreadable), False
    with transaction.atomic():
        place = _place(message, lock=True)
        # Somebody else may have applied it while we waited for the lock.
        message.refresh_from_db(fields=[*OF_MESSAGE, "adapter_version"])
        plan = _plan(message, report, place)
        if not plan.difference:
            return None, True
        if plan.difference.contradicts and not although:
            return plan.difference, False
        _store(plan, place, acting_user, source)
    return plan.difference, True


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a message's runs stand, and the runs there by their key."""

    request: LabRequest | None
    unmatched: UnmatchedResult | None
    known: dict[str, TestRun]
    held: states.Locked | None


@dataclass(kw_only=True)
class _Part:
    """One run of the message: as it is stored, as it is read today, and what differs."""

    change: differences.Run
    stored: LabResult | None
    run: TestRun | None
    read: Run | None


@dataclass(kw_only=True)
class _Plan:
    message: Message
    report: Report
    difference: Difference
    parts: list[_Part]
    # A file as it would be stored, its run's key, and the stored one with the same content.
    files: list[tuple[str | None, Attachment, Attachment | None]] = field(default_factory=list)


def _message(pk: int) -> Message:
    found: Message = Message.objects.select_related("clinic").get(pk=pk)
    return found


def _read(message: Message) -> tuple[Report | None, str]:
    try:
        return vendors.get(message.vendor).read(message), ""
    except NotReadable as error:
        return None, error.message
    except Exception as error:
        # The reader is new and not proven: one message that it stumbles over is reported with the
        # others, and stays as it is.
        log.exception("Reading %s again failed", message.receipt_id)
        return None, f"Reading it failed: {type(error).__name__}"


def _place(message: Message, *, lock: bool = False) -> Place:
    """In the order in which filing locks: the orphan, then the request."""
    request, unmatched = None, None
    requests = LabRequest.objects.select_related("patient", "clinic")
    unmatcheds = UnmatchedResult.objects.all()
    if lock:
        requests = requests.select_for_update(of=("self",))
        unmatcheds = unmatcheds.select_for_update(of=("self",))
    if message.unmatched_id:
        unmatched = unmatcheds.get(pk=message.unmatched_id)
        decision = unmatched.decisions.filter(active=True).first()
        request = requests.get(pk=decision.request_id) if decision else None
        known = {run.run_key: run for run in TestRun.objects.filter(unmatched=unmatched)}
    else:
        request = requests.get(pk=message.request_id)
        known = runs.of_request(request)
    return Place(
        request=request,
        unmatched=unmatched,
        known=known,
        held=states.locked(request) if request else None,
    )


def _difference(message: Message, **found: Any) -> Difference:
    return Difference(
        receipt_id=message.receipt_id,
        message_id=message.message_id,
        clinic=message.clinic.public_id if message.clinic else "",
        read_by=message.adapter_version,
        would_read=vendors.get(message.vendor).adapter_version,
        **found,
    )


def _plan(message: Message, report: Report, place: Place) -> _Plan:
    report = runs.as_filed(report)
    read = as_read(report)
    stored = versions.newest_readings(
        LabResult.objects.filter(message=message).select_related("run").order_by("pk")
    )
    parts = _parts(message, report, place, stored)
    plan = _Plan(message=message, report=report, parts=parts, difference=_difference(message))
    files = _files(plan)
    changes = [part.change for part in parts]
    for change in changes:
        change.files.extend(file for key, file in files if key == change.key)
    plan.parts = [part for part in parts if part.change.differs]
    plan.difference = _difference(
        message,
        lab_report_id=place.request.lab_report_id if place.request else "",
        unmatched=str(place.unmatched.uuid) if place.unmatched else "",
        fields=differences.of_columns(_columns(message, OF_MESSAGE), _columns(read, OF_MESSAGE)),
        runs=[part.change for part in plan.parts],
        files=[file for key, file in files if key is None],
        contradicts=_contradicts(report, place),
    )
    return plan


def _contradicts(report: Report, place: Place) -> list[str]:
    if place.request is None:
        return []
    if place.unmatched is not None:
        return newly_contradicts(
            place.unmatched.typed, report.identity or Identity(), place.request
        )
    return contradictions(report, place.request, place.held.external_id if place.held else "")


def _parts(message: Message, report: Report, place: Place, stored: list[LabResult]) -> list[_Part]:
    by_key = {version.run.run_key: version for version in stored}
    rows: dict[int, list[dict[str, Any]]] = {version.pk: [] for version in stored}
    for row in Observation.objects.filter(result__in=stored).order_by("pk"):
        rows[row.result_id].append(_columns(row, OF_ROW))
    # Two messages may describe one run in two ways: the first one's words are the run's.
    own = _described_by(message, place.known.values())
    analytes = codes.analytes_for(message, report)
    parts = []
    for run in report.runs:
        version, run_row = by_key.pop(run.key, None), place.known.get(run.key)
        parts.append(
            _Part(
                change=_change(message, report, run, version, run_row, rows, own, analytes),
                stored=version,
                run=run_row,
                read=run,
            )
        )
    for version in by_key.values():
        if version.status != ResultStatus.WITHDRAWN:
            gone = differences.Run(
                key=version.run.run_key,
                test=str(version.run),
                change="goes",
                rows=differences.of_rows(list(rows[version.pk]), []),
            )
            parts.append(_Part(change=gone, stored=version, run=version.run, read=None))
    return parts


def _described_by(message: Message, standing: Iterable[TestRun]) -> set[int]:
    """Those runs of which no message came before this one."""
    mine = {run.pk for run in standing}
    earlier = LabResult.objects.filter(run__in=mine, message__lt=message.pk)
    return mine - set(earlier.values_list("run", flat=True))


def _change(
    message: Message,
    report: Report,
    run: Run,
    version: LabResult | None,
    run_row: TestRun | None,
    rows: dict[int, list[dict[str, Any]]],
    own: set[int],
    analytes: dict[str, Known],
) -> differences.Run:
    described = runs.described(run)
    result = runs.version_of(message, report, run, run_row or described)
    # The keys of rows that are not stored yet are not looked at.
    made = observations(result=result, run=described, rows=run.rows, analytes=analytes)
    read = [{name: row[name] for name in OF_ROW} for row in made]
    about = []
    if run_row is not None and run_row.pk in own:
        about = differences.of_columns(_columns(run_row, OF_RUN), _columns(described, OF_RUN))
    if version is None:
        return differences.Run(
            key=run.key,
            test=str(described),
            change="appears",
            about=about,
            rows=differences.of_rows([], list(read)),
        )
    return differences.Run(
        key=run.key,
        test=str(described),
        change="differs",
        about=about,
        fields=differences.of_columns(_columns(version, OF_VERSION), _columns(result, OF_VERSION)),
        rows=differences.of_rows(list(rows[version.pk]), list(read)),
    )


def _columns(row: Any, names: Any) -> dict[str, Any]:
    return {name: getattr(row, name) for name in names}


def _files(plan: _Plan) -> list[tuple[str | None, differences.File]]:
    """What differs of the files, by the key of their run. Files are the same where their content
    is, so that none is stored twice; what is stored and no longer read stays."""
    message, report = plan.message, plan.report
    read: list[tuple[str | None, File]] = [(None, file) for file in report.files]
    read += [(run.key, file) for run in report.runs for file in run.files]
    left = list(
        Attachment.objects.filter(message=message)
        .select_related("result__run")
        .defer("content")
        .order_by("pk")
    )
    found: list[tuple[str | None, differences.File]] = []
    for key, file in read:
        attachment = runs.attachment_of(message, None, file)
        same = [one for one in left if one.sha256 == attachment.sha256]
        # The same picture in two runs is two files.
        same.sort(key=lambda one: _run_key(one) != key)
        earlier = same[0] if same else None
        if earlier is not None:
            left.remove(earlier)
            fields = differences.of_columns(
                {"run": _run_key(earlier)} | _columns(earlier, OF_FILE),
                {"run": key} | _columns(attachment, OF_FILE),
            )
            if not fields:
                continue
        else:
            fields = []
        plan.files.append((key, attachment, earlier))
        found.append(
            (
                key,
                differences.File(
                    file_name=attachment.file_name,
                    sha256=attachment.sha256,
                    change="differs" if earlier else "appears",
                    fields=fields,
                ),
            )
        )
    return found


def _run_key(attachment: Attachment) -> str | None:
    return attachment.result.run.run_key if attachment.result else None


def _store(plan: _Plan, place: Place, acting_user: User | None, source: str) -> None:
    message, report = plan.message, plan.report
    analytes = codes.analytes_for(message, report)
    touched = []
    for part in plan.parts:
        if part.change.about and part.run is not None and part.read is not None:
            described = runs.described(part.read)
            for column in OF_RUN:
                setattr(part.run, column, getattr(described, column))
            quick.update(part.run, *OF_RUN)
        if part.change.version_differs:
            touched.append(_store_version(message, report, part, place, analytes))
    _store_files(plan)
    read = as_read(report)
    adapter = vendors.get(message.vendor).adapter_version
    read.pk, read.adapter_version = message.pk, adapter
    quick.update(read, *OF_MESSAGE, "adapter_version")
    for run in touched:
        versions.refresh(run)
        if run.versions.filter(current=True, status=ResultStatus.WITHDRAWN).exists():
            RequestedTest.objects.filter(reported_run=run).update(reported_run=None)
    record(
        "result.reread",
        clinic=message.clinic,
        acting_user=acting_user,
        source=source,
        request=place.request,
        unmatched=place.unmatched,
        message=message,
        adapter_before=message.adapter_version,
        adapter=adapter,
        runs=[part.change.key for part in plan.parts],
        contradicts=len(plan.difference.contradicts),
    )
    if place.unmatched is not None:
        place.unmatched.version += 1
        quick.update(place.unmatched, "version")
    if place.request is not None:
        states.refresh(place.request, held=place.held)


def _store_version(
    message: Message, report: Report, part: _Part, place: Place, analytes: dict[str, Known]
) -> TestRun:
    """The next reading of the run; one that is read no more is withdrawn, with what it was."""
    earlier = part.stored
    if part.read is None:
        if earlier is None or part.run is None:
            raise ValueError("A run that goes is a run that was there.")
        run = part.run
        result = LabResult(
            clinic=earlier.clinic,
            run=run,
            message=message,
            status=ResultStatus.WITHDRAWN,
            report_version=earlier.report_version,
            reported_at=earlier.reported_at,
            run_at=earlier.run_at,
            run_at_text=earlier.run_at_text,
            species=earlier.species,
            digest="",
        )
    else:
        tests = place.held.tests if place.held else []
        run = part.run or runs.new_run(message, part.read, place.request, place.unmatched, tests)
        result = runs.version_of(message, report, part.read, run)
    result.reading = earlier.reading + 1 if earlier else 1
    # `refresh` marks the current one, whatever was there before.
    quick.insert(result)
    # When it came is when its message came, and not now.
    LabResult.objects.filter(pk=result.pk).update(received_at=message.received_at)
    if part.read is not None:
        rows = observations(result=result, run=run, rows=part.read.rows, analytes=analytes)
        quick.insert_many(Observation, rows)
    return run


def _store_files(plan: _Plan) -> None:
    results = {
        version.run.run_key: version
        for version in versions.newest_readings(
            LabResult.objects.filter(message=plan.message).select_related("run")
        )
    }
    for key, attachment, earlier in plan.files:
        attachment.result = results[key] if key is not None else None
        if earlier is None:
            attachment.save()
            continue
        names = list(OF_FILE)
        for name in names:
            setattr(earlier, name, getattr(attachment, name))
        if _run_key(earlier) != key:
            earlier.result = attachment.result
            names.append("result")
        earlier.save(update_fields=names)
