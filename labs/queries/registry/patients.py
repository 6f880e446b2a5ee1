"""Patients: the searchable list and one patient's page."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import Any

from django.db.models import (
    Aggregate,
    Max,
    OuterRef,
    Prefetch,
    QuerySet,
    Subquery,
    TextField,
    Value,
)
from django.db.models.functions import Concat
from django.utils import timezone
from django.utils.safestring import SafeString

from labs import charts
from labs.models import (
    FollowUp,
    LabRequest,
    MatchDecision,
    Owner,
    Patient,
    RequestedTest,
    UnmatchedResult,
    Weight,
)
from labs.queries.orders.progress import state_chip, turnarounds
from labs.queries.paging import Page, page_of
from labs.queries.readings.history import Earlier, history
from labs.queries.readings.summary import Summary, summaries
from labs.queries.records import events as audit
from labs.queries.registry import patient_search
from labs.queries.reviews.care import follow_ups_of
from labs.queries.words import Chip


class _Joined(Aggregate):
    """Texts in one, with commas."""

    function = "STRING_AGG"
    template = "%(function)s(%(expressions)s, ', ')"
    output_field = TextField()

    def as_sqlite(self, *args: Any, **kwargs: Any) -> Any:
        return self.as_sql(*args, function="GROUP_CONCAT", **kwargs)


def merged_words(patient: str = "pk") -> Subquery:
    """The names and ids of the records that were merged into one: `Bela P-2, Bella P-7`; null where
    there are none. `patient` names the patient's key."""
    rows = Patient.objects.filter(merged_into=OuterRef(patient)).order_by()
    text = Concat("name", Value(" "), "patient_id", output_field=TextField())
    return Subquery(rows.values("merged_into").annotate(words=_Joined(text)).values("words"))


def with_weight(rows: QuerySet[Any], *, patient: str = "pk") -> QuerySet[Any]:
    """Adds what a patient's banner says beside its columns: the latest weighing, `weight_kg` and
    `weighed_on`, and `merged_words`. `patient` names the patient's key."""
    latest = Weight.objects.filter(patient=OuterRef(patient))
    annotated: QuerySet[Any] = rows.annotate(
        weight_kg=Subquery(latest.values("kg")[:1]),
        weighed_on=Subquery(latest.values("measured_on")[:1]),
        merged_words=merged_words(patient),
    )
    return annotated


def search(
    clinic_id: int, rows: QuerySet[Any], text: str, number: int, size: int = 50
) -> Page[Patient]:
    """A page of the clinic's patients, of `rows`, that fit the words, the best first; by name where
    there are none. Their latest order is `last_lab`. The patient of test orders is never found, as
    it is no animal, nor a record that was merged into another, which is found in its place."""
    rows = rows.filter(is_test=False, merged_into=None)
    latest = LabRequest.objects.filter(patient=OuterRef("pk")).order_by()
    shown = (
        rows.select_related("owner")
        .annotate(
            merged_words=merged_words(),
            last_lab=Subquery(
                latest.values("patient").annotate(at=Max("requested_at")).values("at")
            ),
        )
        .order_by("name", "pk")
    )
    if not text.split():
        return page_of(shown, number, size)
    page = patient_search.find(clinic_id, rows, text, number, size)
    found = {patient.pk: patient for patient in shown.filter(pk__in=page.rows)}
    ordered = [found[pk] for pk in page.rows if pk in found]
    return Page(rows=ordered, number=number, more=page.more, size=size)


def animals_of(owner: Owner) -> list[Patient]:
    """The living first. One statement; with `last_lab`, and without what was merged away."""
    latest = LabRequest.objects.filter(patient=OuterRef("pk")).order_by()
    last = latest.values("patient").annotate(at=Max("requested_at")).values("at")
    rows = Patient.objects.filter(owner=owner, merged_into=None, is_test=False)
    found = rows.select_related("owner", "clinic").annotate(
        merged_words=merged_words(), last_lab=Subquery(last)
    )
    return list(found.order_by("deceased", "name", "pk"))


@dataclass(frozen=True, kw_only=True)
class RequestLine:
    request: LabRequest
    chip: Chip
    summary: Summary | None
    orphans: list[UnmatchedResult]  # what was put on it
    automatic: bool = False  # one of those by the rule, and not by a person


@dataclass(frozen=True, kw_only=True)
class Trend:
    """One analyte over time, of one unit, specimen and analyzer model."""

    code: str
    unit: str
    model: str
    latest: Earlier
    spark: SafeString
    count: int

    @property
    def short_model(self) -> str:
        """`HT5` of `Element HT5`."""
        return self.model.rpartition(" ")[2]

    @property
    def tone(self) -> str:
        return charts.TONES.get(self.latest.flag, "")


@dataclass(frozen=True, kw_only=True)
class PatientPage:
    patient: Patient
    requests: Page[RequestLine]
    trends: list[Trend]
    events: list[audit.Event]
    follow_ups: list[FollowUp]


def patient_page(patient: Patient, number: int, *, only_reviewed: bool = False) -> PatientPage:
    """Eight statements. `patient` with owner. `only_reviewed`: of results only what a veterinarian
    has signed, and nothing of a request of which something is still to be signed."""
    now = timezone.now()
    rows = (
        LabRequest.objects.filter(patient=patient)
        .select_related("submission", "patient")
        .prefetch_related(Prefetch("tests", RequestedTest.objects.select_related("panel")))
    )
    page = page_of(rows, number, 25)
    found = summaries(page.rows, all_runs=True)
    if only_reviewed:
        found = {pk: summary for pk, summary in found.items() if not summary.to_review}
    known = turnarounds(patient.clinic_id)
    put: dict[int, list[UnmatchedResult]] = defaultdict(list)
    by_rule: set[int | None] = set()
    for decision in MatchDecision.objects.filter(request__in=page.rows, active=True).select_related(
        "unmatched"
    ):
        put[decision.request_id or 0].append(decision.unmatched)
        if decision.method == MatchDecision.Method.AUTO:
            by_rule.add(decision.request_id)
    return PatientPage(
        patient=patient,
        requests=Page(
            rows=[
                RequestLine(
                    request=request,
                    chip=state_chip(request, now, known),
                    summary=found.get(request.pk),
                    orphans=put[request.pk],
                    automatic=request.pk in by_rule,
                )
                for request in page.rows
            ],
            number=page.number,
            more=page.more,
            size=page.size,
        ),
        trends=_trends(patient, only_reviewed),
        events=[] if only_reviewed else audit.of_patient(patient),
        follow_ups=[] if only_reviewed else follow_ups_of(patient),
    )


def _trends(patient: Patient, only_reviewed: bool) -> list[Trend]:
    found = []
    for (code, unit, model, _), values in history(patient, only_reviewed=only_reviewed).items():
        numbers = [v.number for v in reversed(values) if v.number and not v.qualifier]
        if len(numbers) < 2:
            continue
        latest = values[0]
        healthy = latest.range_kind != "measuring"
        found.append(
            Trend(
                code=code,
                unit=unit,
                model=model,
                latest=latest,
                spark=charts.sparkline(
                    numbers,
                    latest.low if healthy else "",
                    latest.high if healthy else "",
                    ended=bool(latest.number and not latest.qualifier),
                ),
                count=len(numbers),
            )
        )
    return sorted(found, key=lambda trend: (trend.latest.position, trend.code))
