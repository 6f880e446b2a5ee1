"""Which version of a test run is current, and which rows make the current picture: a pure function
of all its versions, so that every order of arrival ends in the same state."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from django.db.models import QuerySet

from labs.models import LabResult, Observation, ResultStatus, ReviewState, TestRun
from labs.models.result import VOID_STATUSES
from labs.report import Report
from labs.services.intake.rows import digest

RANK = {
    ResultStatus.PRELIMINARY: 0,
    ResultStatus.FINAL: 1,
    ResultStatus.CORRECTED: 2,
    ResultStatus.CANCELLED: 3,
}
NEVER = datetime(1, 1, 1, tzinfo=UTC)


def order_key(
    report_version: int, reported_at: datetime | None, status: str
) -> tuple[bool, int, datetime, int]:
    """ReportVersion, then ReportedAt, then status (contract, "Inbound"); but a preliminary version
    never replaces one that is final."""
    closes = status != ResultStatus.PRELIMINARY
    return closes, report_version, reported_at or NEVER, RANK[ResultStatus(status)]


Key = tuple[bool, bool, int, datetime, int, int]


def key_of(version: LabResult) -> Key:
    """What is withdrawn counts only where the run has nothing else."""
    if version.status == ResultStatus.WITHDRAWN:
        return (False, False, 0, NEVER, 0, version.message_id or 0)
    # The message only decides between versions that say the same: a tie that differs is a
    # conflict and was never stored here. Not the primary key, which a second reading has anew.
    order = order_key(version.report_version, version.reported_at, version.status)
    # Of typed ones each has a version of its own.
    return (True, *order, version.message_id or 0)


def newest_readings(versions: Iterable[LabResult]) -> list[LabResult]:
    """Pure. Of each run and message the highest reading: the one that counts. What was typed is of
    no message, and was read once."""
    newest: dict[tuple[int, int], LabResult] = {}
    for version in versions:
        of = version.run_id, version.message_id or -version.pk
        if of not in newest or newest[of].reading < version.reading:
            newest[of] = version
    return list(newest.values())


def ties(report: Report, runs: QuerySet[TestRun]) -> list[str]:
    """Two messages of the same version that differ: nobody can say which one holds."""
    stored = LabResult.objects.filter(
        run__in=runs.filter(run_key__in=[run.key for run in report.runs])
    ).select_related("run")
    known = {
        (
            version.run.run_key,
            order_key(version.report_version, version.reported_at, version.status),
        ): version.digest
        for version in newest_readings(stored)
        if version.status != ResultStatus.WITHDRAWN
    }
    found = []
    for run in report.runs:
        order = order_key(report.version, report.reported_at, run.status)
        earlier = known.get((run.key, order))
        if earlier is not None and earlier != digest(run):
            name = run.test_name or run.test_code or "the test"
            found.append(f"It differs from an earlier message of the same version of {name}.")
    return found


def current_rows(rows: Iterable[tuple[LabResult, Observation]]) -> set[int]:
    """Primary keys of the rows that count: the newest version of each (code, sequence); the same
    pair twice in one message is two rows. A correction lists only what changed, so rows that it
    does not list stay."""
    newest: dict[tuple[str, str, int], tuple[Key, int]] = {}
    for version, row in rows:
        identity = (row.code, row.sequence, row.occurrence)
        candidate = (key_of(version), row.pk)
        if identity not in newest or newest[identity] < candidate:
            newest[identity] = candidate
    return {pk for _, pk in newest.values()}


def refresh(run: TestRun) -> None:
    """Mark the current version and rows of a run, inside the transaction that added a version. Two
    statements where the run has one version only."""
    versions = list(run.versions.all())
    counting = {version.pk: version for version in newest_readings(versions)}
    current = max(counting.values(), key=key_of)
    if not current.current:
        run.versions.filter(current=True).update(current=False)
        run.versions.filter(pk=current.pk).update(current=True)
    if len(versions) == 1:
        return
    rows = list(run.observations.all())
    shown = current_rows(
        (counting[row.result_id], row) for row in rows if row.result_id in counting
    )
    wrong = [row for row in rows if row.current != (row.pk in shown)]
    for row in wrong:
        row.current = not row.current
    Observation.objects.bulk_update(wrong, ["current"])
    reopen(run)


def reopen(run: TestRun) -> None:
    """Where it was signed, and does not say any more what was. Whoever calls it refreshes the state
    of the request."""
    if run.review_state != ReviewState.REVIEWED:
        return
    if not _says_what_was_signed(run, run.versions.get(current=True)):
        run.review_state = ReviewState.CHANGED
        run.save(update_fields=["review_state"])


def _says_what_was_signed(run: TestRun, current: LabResult) -> bool:
    review = run.reviews.first()
    return review is not None and review.seen == snapshot(run, current)


def snapshot(run: TestRun, current: LabResult) -> list[dict[str, object]]:
    """The current picture as a person sees it: what a review signs and a change is judged by."""
    cancelled = current.status in VOID_STATUSES
    shown: list[dict[str, object]] = [{"comments": current.comments, "cancelled": cancelled}]
    for row in run.observations.filter(current=True).order_by("position", "pk"):
        shown.append(
            {
                "code": row.code,
                "sequence": row.sequence,
                "value": row.value_text,
                "unit": row.unit,
                "flag": row.flag_delivered_text or row.flag_computed,
                "low": row.low,
                "high": row.high,
                # What is made of those texts: a newer adapter may make something else of them.
                "called": row.flag,
                "number": row.qualifier + row.number,
                "not_reported": row.not_reported_reason,
                "range": row.range_text,
                "range_kind": row.range_kind,
                "comments": row.comments,
            }
        )
    return shown
