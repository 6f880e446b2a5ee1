"""What a message that was filed gives otherwise as it is read today: a plan, nothing written."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from labs import vendors
from labs.errors import NotReadable
from labs.models import (
    Attachment,
    LabRequest,
    LabResult,
    Message,
    Observation,
    ResultStatus,
    TestRun,
    UnmatchedResult,
)
from labs.report import File, Identity, Report, Run
from labs.services.intake import differences, orphans, runs, versions
from labs.services.intake.differences import Difference
from labs.services.intake.identity import contradictions, newly_contradicts
from labs.services.intake.results import as_read
from labs.services.intake.rows import Known, observations
from labs.services.orders import codes, states

log = logging.getLogger(__name__)
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
NOT_READ = {"id", "result_id", "run_id", "current", "as_filed"}
OF_ROW = [
    column.attname for column in Observation._meta.concrete_fields if column.attname not in NOT_READ
]


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a message's runs stand, and the runs there by their key. Those of one that was split
    stand on each of `parts`, and `request` is None."""

    request: LabRequest | None
    unmatched: UnmatchedResult | None
    known: dict[str, TestRun]
    held: states.Locked | None
    parts: list[UnmatchedResult] = field(default_factory=list)

    @property
    def is_split(self) -> bool:
        return len(self.parts) > 1

    def matched(self, keys: Iterable[str]) -> list[tuple[UnmatchedResult, LabRequest]]:
        """Of one that was split, the parts on which those runs stand and the requests they are
        on."""
        held = {self.known[key].unmatched_id for key in keys if key in self.known}
        on = {run.unmatched_id: run.request_id for run in self.known.values() if run.request_id}
        rows = LabRequest.objects.select_related("patient", "clinic").in_bulk(list(on.values()))
        return [
            (part, rows[on[part.pk]]) for part in self.parts if part.pk in held and part.pk in on
        ]


@dataclass(kw_only=True)
class Part:
    """One run of the message: as it is stored, as it is read today, and what differs."""

    change: differences.Run
    stored: LabResult | None
    run: TestRun | None
    read: Run | None


@dataclass(kw_only=True)
class Plan:
    message: Message
    report: Report
    difference: Difference
    parts: list[Part]
    # The species for which critical limits were asked of the rows in them.
    limits_for: str
    # A file as it would be stored, its run's key, and the stored one with the same content.
    files: list[tuple[str | None, Attachment, Attachment | None]] = field(default_factory=list)


def message_of(pk: int) -> Message:
    found: Message = Message.objects.select_related("clinic").get(pk=pk)
    return found


def read_today(message: Message) -> tuple[Report | None, str]:
    if message.blanked_at is not None:
        return None, f"Its body is not there any more. {message.get_blanked_display()}"
    try:
        return vendors.get(message.vendor).read(message), ""
    except NotReadable as error:
        return None, error.message
    except Exception as error:
        # The reader is new and not proven: one message that it stumbles over is reported with the
        # others, and stays as it is.
        log.exception("Reading %s again failed", message.receipt_id)
        return None, f"Reading it failed: {type(error).__name__}"


def place_of(message: Message, *, lock: bool = False) -> Place:
    """In the order in which filing locks: the orphan, then the request."""
    request, unmatched = None, None
    parts: list[UnmatchedResult] = []
    requests = LabRequest.objects.select_related("clinic")
    if lock:
        requests = requests.select_for_update(of=("self",))
    if message.unmatched_id:
        group = orphans.group_of(message.unmatched_id)
        parts = list(group.select_for_update(of=("self",)) if lock else group)
        unmatched = next(part for part in parts if part.pk == message.unmatched_id)
        decision = unmatched.decisions.filter(active=True).first()
        request = requests.get(pk=decision.request_id) if decision and len(parts) == 1 else None
        known = {run.run_key: run for run in TestRun.objects.filter(unmatched__in=parts)}
    else:
        request = requests.get(pk=message.request_id)
        known = runs.of_request(request)
    held = states.locked(request) if request else None
    if request and held:
        request.patient.species = held.species
    return Place(
        request=request,
        unmatched=unmatched,
        known=known,
        held=held,
        parts=parts,
    )


def difference_of(message: Message, **found: Any) -> Difference:
    return Difference(
        receipt_id=message.receipt_id,
        message_id=message.message_id,
        clinic=message.clinic.public_id if message.clinic else "",
        read_by=message.adapter_version,
        would_read=vendors.get(message.vendor).adapter_version,
        **found,
    )


def plan_of(message: Message, report: Report, place: Place) -> Plan:
    report = runs.as_filed(report)
    read = as_read(report)
    stored = versions.newest_readings(
        LabResult.objects.filter(message=message).select_related("run").order_by("pk")
    )
    limits_for = _limits_for(report, place, stored)
    parts = _parts(message, report, place, stored, limits_for)
    plan = Plan(
        message=message,
        report=report,
        parts=parts,
        limits_for=limits_for,
        difference=difference_of(message),
    )
    files = _files(plan)
    changes = [part.change for part in parts]
    for change in changes:
        change.files.extend(file for key, file in files if key == change.key)
    plan.parts = [part for part in parts if part.change.differs]
    plan.difference = difference_of(
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
    if place.is_split:
        return [
            sentence
            for part, request in place.matched(run.key for run in report.runs)
            for sentence in newly_contradicts(part.typed, report.identity or Identity(), request)
        ]
    if place.request is None:
        return []
    if place.unmatched is not None:
        return newly_contradicts(
            place.unmatched.typed, report.identity or Identity(), place.request
        )
    return contradictions(report, place.request, place.held.external_id if place.held else "")


def _parts(
    message: Message, report: Report, place: Place, stored: list[LabResult], limits_for: str
) -> list[Part]:
    by_key = {version.run.run_key: version for version in stored}
    rows: dict[int, list[dict[str, Any]]] = {version.pk: [] for version in stored}
    for row in Observation.objects.filter(result__in=stored).order_by("pk"):
        rows[row.result_id].append(_columns(row, OF_ROW) | (row.as_filed or {}))
    # Two messages may describe one run in two ways: the first one's words are the run's.
    own = _described_by(message, place.known.values())
    analytes = codes.analytes_for(message, report, limits_for)
    parts = []
    for run in report.runs:
        version, run_row = by_key.pop(run.key, None), place.known.get(run.key)
        parts.append(
            Part(
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
            parts.append(Part(change=gone, stored=version, run=version.run, read=None))
    return parts


def _limits_for(report: Report, place: Place, stored: list[LabResult]) -> str:
    """For which species critical limits are asked. Where it is its animal's: as when it was filed,
    so that only what is read differently differs, and not what an animal turned out to be since."""
    today = runs.species_of(report, place.request, place.unmatched)
    of_its_animal = place.request is not None and today == place.request.patient.species
    return stored[0].limits_for if stored and of_its_animal else today


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


def _files(plan: Plan) -> list[tuple[str | None, differences.File]]:
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
        same.sort(key=lambda one: run_key_of(one) != key)
        earlier = same[0] if same else None
        if earlier is not None:
            left.remove(earlier)
            fields = differences.of_columns(
                {"run": run_key_of(earlier)} | _columns(earlier, OF_FILE),
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


def run_key_of(attachment: Attachment) -> str | None:
    return attachment.result.run.run_key if attachment.result else None
