"""What the owner gets of a request, and who has got what of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.contrib.auth.models import User
from django.utils import timezone

from labs import pdf, quick, vendors
from labs.models import ClinicLogo, LabEvent, LabRequest, Owner, Patient, TestState
from labs.models.result import VOID_STATUSES
from labs.paper import OwnerReport, Panel, Reading
from labs.queries.orders.progress import OPEN_TESTS
from labs.queries.readings.history import Earlier
from labs.queries.readings.result_rows import Row
from labs.queries.readings.run_view import Results, RunView
from labs.services.reviews.viewing import NOT_SENT, PRINTED, SENT, TOLD

DAY = "%Y-%m-%d"
MINUTE = "%Y-%m-%d %H:%M"
WORDS = {PRINTED: "printed", SENT: "e-mailed"}


@dataclass(frozen=True, kw_only=True)
class Report:
    """`results`: by run, the version that is shown: what an audit row keeps of it."""

    paper: OwnerReport
    results: Mapping[str, int]

    def as_pdf(self) -> bytes:
        return pdf.owner_report(self.paper)


def report(request: LabRequest, by: User, results: Results) -> Report:
    """Of a request loaded by `request_page.heads`. One statement beside the results'."""
    now = timezone.localtime()
    patient, clinic = request.patient, request.clinic
    runs = [run for run in results.runs if run.repeat is None or run.repeat.reported is not False]
    valid = [run for run in runs if run.current.status not in VOID_STATUSES]
    tests = list(request.tests.all())
    pending = [test.panel.name for test in tests if test.state in OPEN_TESTS]
    signed = bool(valid) and not any(run.to_review for run in valid)
    reviews = [
        review
        for run in valid
        for review in run.reviews[:1]
        if not run.to_review and review.result_id == run.current.pk
    ]
    newest = max(reviews, key=lambda review: review.reviewed_at, default=None)
    logo = ClinicLogo.objects.filter(clinic=clinic).first()
    environment = vendors.default().environment
    return Report(
        results={str(run.run.pk): run.current.pk for run in runs},
        paper=OwnerReport(
            clinic=clinic.name,
            address=[*clinic.address.splitlines(), *filter(None, (clinic.phone, clinic.email))],
            logo=bytes(logo.content) if logo else None,
            letter=clinic.timezone.startswith("America/"),
            patient=patient.name,
            patient_id=patient.patient_id,
            facts=_facts(request, now),
            report_id=request.lab_report_id,
            version=request.version,
            status=_status(valid, tests, pending),
            reviewed=f"reviewed by {_name(newest.reviewed_by)}, "
            f"{timezone.localtime(newest.reviewed_at):{DAY}}"
            if signed and newest
            else "Not reviewed",
            is_reviewed=signed,
            printed=f"Made {now:{MINUTE}} by {_name(by)}",
            notes=list(dict.fromkeys(review.note for review in reviews if review.note)),
            panels=[_panel(run) for run in runs],
            stamp="" if environment == "production" else f"{environment.upper()}: not for patients",
            pending=pending,
        ),
    )


def _name(user: Any) -> str:
    return user.get_full_name() or str(user.get_username())


def _facts(request: LabRequest, now: datetime) -> list[tuple[str, str]]:
    patient = request.patient
    kind = [patient.get_species_display(), patient.breed, patient.sex_words]
    age = patient.age_words(now.date())
    if age:
        kind.append(f"{age} old")
    found = [("Id", patient.patient_id), ("Animal", ", ".join(part for part in kind if part))]
    if patient.owner:
        found.append(("Owner", f"{patient.owner} ({patient.owner.owner_id})"))
    found.append(("Ordered", f"{timezone.localtime(request.requested_at):{MINUTE}}"))
    if request.doctor:
        found.append(("Doctor", request.doctor))
    return found


def _status(runs: list[RunView], tests: list[Any], pending: list[str]) -> str:
    if not runs:
        return "no results"
    statuses = {run.current.status for run in runs}
    words = next(s for s in ("preliminary", "corrected", "final") if s in statuses)
    if pending:
        done = sum(test.state == TestState.COMPLETE for test in tests)
        return f"partial, {done} of {len(tests)} tests"
    return words


def _panel(run: RunView) -> Panel:
    facts = [
        run.run.analyzer_model or "analyzer not named",
        run.run.specimen_type,
        f"{timezone.localtime(run.at):{MINUTE}}",
        run.status.word,
        f"version {run.current.report_version}",
    ]
    if run.current.typed_by:
        facts.insert(0, f"typed by {_name(run.current.typed_by)}")
    if run.repeat:
        facts.append(f"run {run.repeat.number} of {run.repeat.of}")
    remarks = [run.void] if run.void else []
    if run.current.correction_reason:
        remarks.append(f"Corrected: {run.current.correction_reason}")
    if run.current.status in VOID_STATUSES:
        remarks.append("The laboratory cancelled this test.")
    return Panel(
        title=run.title,
        facts=" · ".join(fact for fact in facts if fact),
        lines=[_reading(row) for row in run.rows if row.observation.value_kind != "attachment"],
        remarks=[*remarks, *(str(comment) for comment in run.current.comments)],
    )


def _reading(row: Row) -> Reading:
    value = row.observation
    remarks = [str(note) for note in [*row.notes, *row.warnings]]
    if row.before is not None:
        remarks.insert(0, f"Corrected, was {row.before or 'not reported'}.")
    if row.own:
        said = f": {row.own.word}" if row.own.word else ""
        remarks.append(f"By {row.own.whose}'s own range {row.own.words}{said}.")
    mark = row.ours if row.void else row.flag
    flag = mark.word if mark else ""
    if value.not_reported_reason:
        flag = ""
        remarks.insert(0, row.sentence)
    elif not flag:
        flag = "not assessed"
    range_words = "" if row.void else row.range_words
    if row.measuring and range_words:
        range_words += " (measuring)"
    before = row.previous
    return Reading(
        code=value.code,
        name=row.name,
        value=value.value_text.strip() or "–",
        unit=value.unit,
        flag=flag,
        tone=row.tone,
        range=range_words,
        number="" if row.void else value.number,
        qualifier=value.qualifier,
        low=value.low,
        high=value.high,
        range_kind=value.range_kind,
        flag_code=value.flag,
        previous=_before(before) if before else "",
        remarks=remarks,
    )


def _before(before: Earlier) -> str:
    typed = ", typed" if before.typed_by else ""
    return f"{before.text} ({timezone.localtime(before.at):{DAY}}{typed})"


@dataclass(frozen=True, kw_only=True)
class Recipient:
    """Who has got a report of a request that says something else today. `why` is a sentence;
    `resend`: it is still the owner of the animal whose results these are."""

    key: str
    at: datetime
    who: str
    phone: str
    how: str
    by: str
    version: int
    why: str
    resend: bool


@dataclass(frozen=True, kw_only=True)
class Given:
    """Of all that was given out: how often, and what of it is out of date."""

    times: int
    outdated: list[Recipient]
    current: Mapping[str, int]


GIVEN_OUT = quick.Records(
    LabEvent.objects.filter(
        request=quick.Given("request"), verb__in=[PRINTED, SENT, NOT_SENT, TOLD]
    ).order_by("pk"),
    actor=(),
    patient=(),
)


def given(request: LabRequest, results: Results) -> Given:
    """Two statements, one where nothing was given out. The last that each owner got counts: who got
    the corrected one after the wrong one is told."""
    events = GIVEN_OUT.all(request=request.pk)
    failed = {event.data.get("sending") for event in events if event.verb == NOT_SENT}
    last: dict[tuple[Any, Any], LabEvent] = {}
    told: dict[tuple[Any, Any], Any] = {}
    times = 0
    for event in events:
        if event.verb == TOLD:
            told[event.data["of"], event.data["owner"]] = event.data["results"]
            continue
        if event.verb == NOT_SENT or "results" not in event.data:
            continue
        if event.verb == SENT and event.data.get("sending") in failed:
            continue
        times += 1
        last[event.patient_id, event.data.get("owner")] = event
    owners = Owner.objects.in_bulk([owner for _, owner in last if owner]) if last else {}
    current = {str(run.run.pk): run.current.pk for run in results.runs}
    found = []
    for key, event in last.items():
        why = _why(event, request.patient, current)
        owner_pk = key[1]
        # Who was told is done with, until it changes once more.
        if why and told.get(key) != current:
            owner = owners.get(owner_pk)
            found.append(
                Recipient(
                    key=f"{key[0]}-{owner_pk or 0}",
                    at=event.at,
                    who=str(owner) if owner else "an owner who is not recorded",
                    phone=owner.phone if owner else "",
                    how=WORDS[event.verb],
                    by=_name(event.actor) if event.actor else "the system",
                    version=event.data.get("version", 0),
                    why=why,
                    resend=owner_pk == request.patient.owner_id
                    and event.patient_id == request.patient_id,
                )
            )
    return Given(times=times, outdated=found, current=current)


def _why(event: LabEvent, patient: Patient, current: dict[str, int]) -> str:
    if event.patient_id != patient.pk:
        was = event.patient.name if event.patient else "another animal"
        return f"It was said to be {was}'s, and is {patient.name}'s: they must be told."
    shown: dict[str, int] = event.data["results"]
    if any(run not in current for run in shown):
        return "A result on it is not this animal's any more: they must be told."
    if any(current[run] != version for run, version in shown.items()):
        return "A result on it was corrected since."
    if event.data.get("owner") != patient.owner_id:
        return "The animal has another owner by now."
    return ""
