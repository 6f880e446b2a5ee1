"""The results of one request as its page shows them: per run one table. Six statements."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from datetime import timedelta

from django.db.models import Exists, OuterRef, QuerySet, Subquery
from django.utils import timezone

from labs import interference
from labs.models import (
    Attachment,
    LabRequest,
    LabResult,
    MatchDecision,
    Message,
    Observation,
    Patient,
    ResultStatus,
    Review,
    Species,
)
from labs.models.result import VOID_STATUSES
from labs.queries.orphaned.second_look import to_check
from labs.queries.readings.history import Earlier, code_of, history, key_of
from labs.queries.readings.own_ranges import OwnRanges, own_ranges
from labs.queries.readings.result_rows import row_of, urgency
from labs.queries.readings.run_view import Repeat, Results, RunView
from labs.queries.words import Chip
from labs.quick import Given, Records, all_but
from labs.services.intake.versions import newest_readings

ADULT = timedelta(days=365)
STATUS_CHIPS = {
    ResultStatus.PRELIMINARY: Chip(word="preliminary", shape="run"),
    ResultStatus.FINAL: Chip(word="final", shape="done"),
    ResultStatus.CORRECTED: Chip(word="corrected", shape="warn"),
    ResultStatus.CANCELLED: Chip(word="cancelled", shape="off"),
    ResultStatus.WITHDRAWN: Chip(word="withdrawn", shape="off"),
}


def _versions() -> QuerySet[LabResult]:
    active = MatchDecision.objects.filter(unmatched=OuterRef("run__unmatched"), active=True)
    unchecked = to_check(Given("clinic")).filter(unmatched=OuterRef("run__unmatched"))
    rows: QuerySet[LabResult] = LabResult.objects.filter(run__request=Given("request")).order_by(
        "pk"
    )
    return rows.annotate(
        by_rule=Exists(active.filter(method="auto")),
        matched_at=Subquery(active.values("at")[:1]),
        unchecked=Exists(unchecked),
    )


VERSIONS = Records(
    _versions(),
    *("by_rule", "matched_at", "unchecked"),
    run=(),
    run__requested_test=(),
    run__unmatched=(),
    message=all_but(Message, "raw", "reply"),
    typed_by=(),
)
ROWS = Records(
    Observation.objects.filter(run__request=Given("request")).order_by("result", "position", "pk"),
    result=(),
    run=(),
    analyte=(),
)
REVIEWS = Records(Review.objects.filter(run__request=Given("request")), reviewed_by=(), result=())
FILES = Records(
    Attachment.objects.filter(
        message__in=LabResult.objects.filter(run__request=Given("request")).values("message")
    ),
    only=all_but(Attachment, "content"),
    result=(),
)


def results_of(
    request: LabRequest, *, only_reviewed: bool = False, abnormal_first: bool = False
) -> Results:
    """Everything that came for a request, in the order of its tests. `request` with its patient.
    `only_reviewed`: earlier values too are only those that a veterinarian has signed."""
    versions: dict[int, list[LabResult]] = defaultdict(list)
    for version in VERSIONS.all(request=request.pk, clinic=request.clinic_id):
        versions[version.run_id].append(version)
    rows: dict[int, list[Observation]] = defaultdict(list)
    for row in ROWS.all(request=request.pk):
        rows[row.run_id].append(row)
    reviews: dict[int, list[Review]] = defaultdict(list)
    for review in REVIEWS.all(request=request.pk):
        reviews[review.run_id].append(review)
    files = FILES.all(request=request.pk)
    current = [(next(v for v in found if v.current), found) for found in versions.values()]
    shown = [row for found in rows.values() for row in found if row.current]
    ranges = own_ranges(
        request.patient,
        (row.analyte_id for row in shown if row.analyte_id),
        whose=request.clinic,
    )
    earlier = history(
        request.patient,
        codes={code_of(row) for row in shown},
        before=min((v.run_at or v.received_at for v, _ in current), default=None),
        without=request,
        only_reviewed=only_reviewed,
    )
    views = [
        _run_view(
            request,
            version,
            found,
            rows[version.run_id],
            reviews[version.run_id],
            files,
            earlier,
            ranges,
        )
        for version, found in current
    ]
    views.sort(key=_order)
    if abnormal_first:
        views = [replace(view, rows=sorted(view.rows, key=urgency)) for view in views]
    return Results(
        abnormal_first=abnormal_first,
        runs=_with_repeats(views),
        files=[file for file in files if file.result_id is None],
    )


def _order(view: RunView) -> tuple[int, int]:
    test = view.run.requested_test
    return (test.position if test else 99, view.run.pk)


def _with_repeats(views: list[RunView]) -> list[RunView]:
    """Marks the runs of which a person has to choose the one to report. A cancelled one is none."""
    by_test: dict[int, list[int]] = defaultdict(list)
    for index, view in enumerate(views):
        if view.run.requested_test_id and view.current.status not in VOID_STATUSES:
            by_test[view.run.requested_test_id].append(index)
    for indexes in by_test.values():
        for number, index in enumerate(indexes, start=1):
            test = views[index].run.requested_test
            if len(indexes) > 1 and test is not None:
                chosen = test.reported_run_id
                views[index] = replace(
                    views[index],
                    repeat=Repeat(
                        number=number,
                        of=len(indexes),
                        reported=None if chosen is None else chosen == views[index].run.pk,
                    ),
                )
    return views


def _run_view(
    request: LabRequest,
    current: LabResult,
    versions: list[LabResult],
    rows: list[Observation],
    reviews: list[Review],
    files: list[Attachment],
    earlier: dict[tuple[str, str, str, str], list[Earlier]],
    ranges: OwnRanges,
) -> RunView:
    run = current.run
    patient = request.patient
    first: dict[tuple[str, str], int] = {}
    superseded: dict[tuple[str, str], list[Observation]] = defaultdict(list)
    for index, row in enumerate(rows):
        identity = (row.code, row.sequence or str(row.position))
        first.setdefault(identity, index)
        if not row.current:
            superseded[identity].append(row)
    newest = {version.pk for version in newest_readings(versions)}
    for version in versions:
        version.read_again = version.pk not in newest  # type: ignore[attr-defined]
    own = [file for file in files if file.result and file.result.run_id == run.pk]
    shown = sorted(
        (row for row in rows if row.current),
        key=lambda row: first[(row.code, row.sequence or str(row.position))],
    )
    codes = {row.code for row in shown}
    doubts = interference.doubts(
        ((row.code, row.value_text) for row in shown),
        [*current.comments, *(comment for row in shown for comment in row.comments)],
    )
    return RunView(
        run=run,
        current=current,
        status=STATUS_CHIPS[ResultStatus(current.status)],
        rows=[
            row_of(
                row,
                current,
                void=row.result.ranges_void(patient.species),
                older=superseded[(row.code, row.sequence or str(row.position))],
                earlier=earlier.get(key_of(row), []),
                files=[f for f in own if f.analyte_code and f.analyte_code == row.code],
                doubts=doubts.get(row.code, []),
                loose_files=any(not file.analyte_code for file in own),
                own=ranges.of(row),
            )
            for row in shown
        ],
        earlier=[version for version in reversed(versions) if version.pk != current.pk],
        files=[f for f in own if not f.analyte_code or f.analyte_code not in codes],
        reviews=reviews,
        void=_void_words(shown, patient.species, patient.name),
        juvenile=_juvenile_words(patient, current, shown),
        title=run.test_name or run.test_code or "Test without a name",
    )


def _juvenile_words(patient: Patient, current: LabResult, rows: list[Observation]) -> str:
    """No range says of which age it is, and analyzers send those of adults."""
    born, at = patient.birth_date, timezone.localtime(current.run_at or current.received_at).date()
    if born is None or not born <= at < born + ADULT:
        return ""
    if not any(row.range_kind == "reference" and row.range_text for row in rows):
        return ""
    return (
        f"{patient.name} was {patient.age_words(at)} old when this was measured. The ranges came "
        "without an age, so they are those of adults: what is low or high there can be normal in "
        "the young, and the other way round."
    )


def _void_words(rows: list[Observation], species: str, name: str) -> str:
    foreign = next((row.result for row in rows if row.result.ranges_void(species)), None)
    if foreign is None:
        return ""
    own = Species(species).one
    measured = Species(foreign.species).one if foreign.species else "a species that we can't tell"
    return (
        f"The analyzer measured for {measured}, but {name} is {own}. "
        "The ranges and flags that came with it are struck through and used for nothing. The "
        f"critical limits are those for {own}."
    )
