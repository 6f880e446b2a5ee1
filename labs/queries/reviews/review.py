"""What may be signed together: complete, final, and nothing critical in it."""

from __future__ import annotations

from dataclasses import dataclass

from django.db.models import Prefetch

from labs.models import (
    Clinic,
    LabRequest,
    Observation,
    RequestedTest,
    TestRun,
)
from labs.queries.overview.nav import TO_REVIEW
from labs.queries.words import FLAG_SHAPES, FLAG_WORDS, not_reported
from labs.services.reviews.review import together

SHOWN = 30


@dataclass(frozen=True, kw_only=True)
class Value:
    """One value in words: all of them are shown, as what is signed is what was seen."""

    code: str
    text: str
    unit: str
    flag: str
    shape: str
    within: bool


@dataclass(frozen=True, kw_only=True)
class Candidate:
    request: LabRequest
    values: list[Value]

    @property
    def remarkable(self) -> list[Value]:
        return [value for value in self.values if not value.within]

    @property
    def within(self) -> list[Value]:
        return [value for value in self.values if value.within]


@dataclass(frozen=True, kw_only=True)
class Together:
    candidates: list[Candidate]
    more: bool
    alone: int  # requests that have to be opened and signed one by one


def to_sign_together(clinic: Clinic) -> Together:
    """Four statements; the longest wait first."""
    waiting = TestRun.objects.filter(clinic=clinic, review_state__in=TO_REVIEW)
    requests = LabRequest.objects.filter(clinic=clinic, pk__in=waiting.values("request"))
    fit = together(requests)
    rows = list(
        fit.select_related("patient__owner")
        .prefetch_related(Prefetch("tests", RequestedTest.objects.select_related("panel")))
        .order_by("requested_at", "pk")[: SHOWN + 1]
    )
    values: dict[int, list[Value]] = {row.pk: [] for row in rows}
    for row in (
        Observation.objects.filter(
            run__request__in=list(values), run__review_state__in=TO_REVIEW, current=True
        )
        .select_related("run", "result")
        .order_by("run", "position", "pk")
    ):
        values[row.run.request_id or 0].append(_value(row))
    return Together(
        candidates=[Candidate(request=row, values=values[row.pk]) for row in rows[:SHOWN]],
        more=len(rows) > SHOWN,
        alone=requests.count() - fit.count(),
    )


def _value(row: Observation) -> Value:
    text = row.value_text.strip()
    if row.not_reported_reason:
        said = not_reported(row.not_reported_reason).rstrip(".")
        return Value(code=row.code, text=text, unit="", flag=said, shape="", within=False)
    flag = FLAG_WORDS.get(row.flag, "not assessed") if row.flag else "not assessed"  # type: ignore[call-overload]
    return Value(
        code=row.code,
        text=text,
        unit=row.unit,
        flag=flag,
        shape=FLAG_SHAPES.get(row.flag, ""),  # type: ignore[call-overload]
        within=row.flag == "N" and not row.warnings and not row.comments,
    )
