"""Results that a person types in, of an analyzer that is not connected. They go through the same
reading of values, ranges and flags as delivered ones and wait for review like them; they are never
put into the journal, which holds what a laboratory sent."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from django.db import IntegrityError, transaction
from django.utils import timezone

from labs import quick, roles
from labs.errors import InvalidInput, SentBefore, Stale
from labs.models import (
    Analyte,
    LabRequest,
    LabResult,
    Observation,
    Panel,
    Patient,
    ResultStatus,
    TestRun,
)
from labs.report import Row, Run
from labs.services import events
from labs.services.intake import versions
from labs.services.intake.rows import Known, digest, fit, observation, observations
from labs.services.orders import ordering, states, submissions
from labs.services.registry.patients import require_animal
from labs.services.reviews import alarms, species
from labs.services.reviews.limits import with_limits
from labs.values import read_number

if TYPE_CHECKING:
    from django.contrib.auth.models import User

LONGEST = 64  # of a value, as it is typed
AHEAD = timedelta(minutes=10)


@dataclass(frozen=True, kw_only=True)
class Line:
    """One value as it was typed, with the range that the analyzer printed beside it."""

    analyte: Analyte
    value: str = ""
    low: str = ""
    high: str = ""

    @property
    def row(self) -> Row:
        """As a delivered one: the printed range is a reference interval."""
        ranged = bool(self.low.strip() or self.high.strip())
        return Row(
            sequence=str(self.analyte.position),
            code=self.analyte.code,
            name=self.analyte.name,
            value=self.value.strip(),
            unit=self.analyte.unit,
            low=self.low.strip(),
            high=self.high.strip(),
            range_kind="reference" if ranged else "",
        )


@dataclass(frozen=True, kw_only=True)
class Understood:
    """What was made of a line, to be looked at before it is saved. `wrong`: why it can't be."""

    line: Line
    stored: dict[str, Any]
    wrong: str = ""
    warnings: list[str] = field(default_factory=list)


def understood(line: Line) -> Understood:
    """Pure: the same reading that a delivered value gets."""
    stored = observation(line.row, None)
    return Understood(line=line, stored=stored, wrong=_wrong(line), warnings=stored["warnings"])


def _wrong(line: Line) -> str:
    if max(len(line.value), len(line.low), len(line.high)) > LONGEST:
        return f"At most {LONGEST} characters."
    ends = []
    for name, text in (("low", line.low), ("high", line.high)):
        number = read_number(text) if text.strip() else None
        if text.strip() and number is None:
            return (
                f"The {name} end of the range, “{text.strip()}”, is no number. Write 4.5, not 4,5."
            )
        ends.append(number)
    low, high = ends
    if low is not None and high is not None and low >= high:
        return "The range's low end must be below its high end."
    return ""


def type_result(
    *,
    acting_user: User,
    patient: Patient,
    panel: Panel,
    lines: Sequence[Line],
    run_at: datetime,
    analyzer: str = "",
    serial: str = "",
    doctor: str = "",
    form_key: uuid.UUID | None = None,
) -> LabRequest:
    """A request with one run of what was typed, final and to be reviewed. `form_key`: of the form;
    sent twice it gives the request that it made the first time, on whosever record that is by now.

    Raises InvalidInput without a value, for a line that can't be, a run in the future or a patient
    that is no animal; SentBefore where the form made one and says something else since; Stale for a
    record that was merged away; NotAllowed.
    """
    roles.require(acting_user, patient.clinic, "order")
    # Before the record is looked at: what is on it already may have been merged away with it.
    if made := _made_before(form_key, acting_user, patient, panel, lines):
        return made
    require_animal(patient)
    _check(lines)
    if run_at > timezone.now() + AHEAD:
        raise InvalidInput("The time of the run lies in the future.")
    try:
        with transaction.atomic():
            request = ordering.create_request(
                acting_user=acting_user,
                patient=patient,
                panels=[panel],
                doctor=doctor,
                retrospective=True,
                form_key=form_key,
            )
            patient.species = species.of(patient.pk)
            request.typed = True
            request.save(update_fields=["typed"])
            test = request.tests.get()
            run = TestRun(
                clinic=patient.clinic,
                request=request,
                requested_test=test,
                run_key=f"typed {uuid.uuid4()}",
                test_code=panel.code,
                test_name=panel.name,
                analyzer_model=analyzer or panel.analyzer_model,
                analyzer_serial=serial,
                specimen_type=panel.specimen_type,
            )
            fit(run)
            run.save()
            _version(
                run, acting_user, patient, lines, status=ResultStatus.FINAL, version=1, at=run_at
            )
            events.record(
                "result.typed",
                clinic=patient.clinic,
                acting_user=acting_user,
                request=request,
                test=panel.code,
            )
            states.refresh(request)
    except IntegrityError:
        # The first one came at the same moment.
        made = _made_before(form_key, acting_user, patient, panel, lines)
        if made is None:
            raise
        return made
    return request


def _made_before(
    form_key: uuid.UUID | None,
    acting_user: User,
    patient: Patient,
    panel: Panel,
    lines: Sequence[Line],
) -> LabRequest | None:
    """The request that this form made when it came for the first time; None where it made none. At
    most two statements. Raises SentBefore where it says something else by now, or is somebody
    else's."""
    if form_key is None:
        return None
    rows = LabRequest.objects.filter(clinic=patient.clinic_id, form_key=form_key)
    made: LabRequest | None = rows.first()
    if made is None:
        return None
    first = LabResult.objects.filter(
        run__request=made, run__test_code=panel.code, typed_by=acting_user, report_version=1
    ).first()
    said = Run(key="", status=ResultStatus.FINAL, rows=_rows(lines))
    if not made.typed or first is None or first.digest != digest(said):
        raise SentBefore(
            "Nothing was saved now: this form was sent before, and says something else since. Look "
            f"at what is on {patient.name}'s record: a value is corrected there. If this is "
            "another result, save it."
        )
    return made


def _rows(lines: Sequence[Line], known: Collection[str] = ()) -> tuple[Row, ...]:
    """A line without a value says something only where there was one."""
    return tuple(line.row for line in lines if line.value.strip() or line.analyte.code in known)


def correct(
    *,
    acting_user: User,
    run: TestRun,
    lines: Sequence[Line],
    reason: str,
    expected: int,
) -> None:
    """A new version of what was typed; the earlier ones stay, and who signed one signs again where
    it says something else. `expected`: primary key of the version that was corrected.

    Raises InvalidInput without a reason, where nothing changes or a line can't be; Stale where
    somebody else corrected it meanwhile; NotAllowed.
    """
    reason = " ".join(reason.split())[:500]
    if run.request is None:
        raise InvalidInput("This result is on nobody's record.")
    roles.require(acting_user, run.clinic, "order")
    if not reason:
        raise InvalidInput("Say why it is corrected.")
    _check(lines)
    with transaction.atomic():
        request = submissions.locked(run.request.pk)
        current = run.versions.get(current=True)
        if current.typed_by_id is None:
            raise InvalidInput("Only what was typed in can be corrected here.")
        if current.pk != expected:
            raise Stale("Somebody corrected this meanwhile. Look at it again, then correct it.")
        before = versions.snapshot(run, current)
        version = _version(
            run,
            acting_user,
            request.patient,
            lines,
            status=ResultStatus.CORRECTED,
            version=current.report_version + 1,
            at=current.run_at,
            reason=reason,
        )
        versions.refresh(run)
        if versions.snapshot(run, version) == before:
            raise InvalidInput("Nothing was changed.")
        alarms.look_again(run)
        events.record(
            "result.typed_again",
            clinic=run.clinic,
            acting_user=acting_user,
            request=request,
            words=reason,
            version=version.report_version,
        )
        states.refresh(request)


def _check(lines: Sequence[Line]) -> None:
    if not any(line.value.strip() for line in lines):
        raise InvalidInput("Type at least one value.")
    for line in lines:
        if wrong := _wrong(line):
            raise InvalidInput(f"{line.analyte.code}: {wrong}")


def _version(
    run: TestRun,
    by: User,
    patient: Patient,
    lines: Sequence[Line],
    *,
    status: ResultStatus,
    version: int,
    at: datetime | None,
    reason: str = "",
) -> LabResult:
    """Stored, in the caller's transaction. A line without a value is left out of the first version;
    in a correction it says that there is none any more."""
    known = set(run.observations.values_list("code", flat=True))
    rows = _rows(lines, known)
    said = Run(key=run.run_key, status=status, rows=rows)
    result = LabResult.objects.create(
        clinic=run.clinic,
        run=run,
        typed_by=by,
        status=status,
        report_version=version,
        reported_at=timezone.now(),
        run_at=at,
        current=version == 1,
        correction_reason=reason,
        species=patient.species,
        limits_for=patient.species,
        digest=digest(said),
    )
    analytes = {
        line.analyte.code: Known(line.analyte.pk, line.analyte.code, line.analyte.unit)
        for line in lines
    }
    analytes = with_limits(analytes, run.clinic_id, patient.species)
    made = observations(result=result, run=run, rows=rows, analytes=analytes)
    quick.insert_many(Observation, made)
    if version == 1:
        events.save(alarms.raise_for(run, result, made))
    return result


def lines_of(panel: Panel | None, run: TestRun | None = None) -> list[Line]:
    """What a form asks for: the panel's analytes, without images, and what the run says of them
    today. Two statements."""
    current = {row.analyte_id: row for row in run.observations.filter(current=True)} if run else {}
    analytes = Analyte.objects.exclude(kind="image")
    if panel is not None:
        analytes = analytes.filter(panel=panel)
    elif run is not None:
        analytes = analytes.filter(pk__in=[pk for pk in current if pk])
    found = []
    for analyte in analytes.distinct():
        row = current.get(analyte.pk)
        found.append(
            Line(
                analyte=analyte,
                value=row.value_text if row else "",
                low=row.low if row else "",
                high=row.high if row else "",
            )
        )
    return found
