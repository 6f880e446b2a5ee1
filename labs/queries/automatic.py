"""What rule A would do with an orphan: everything that the rule asks about, gathered."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from django.db.models import Q
from django.utils import timezone

from labs.matching.rule import REQUIRED, Case, automatic, namesakes_of
from labs.matching.score import Ranking
from labs.models import (
    Flag,
    Observation,
    Patient,
    TestRun,
    UnmatchedReason,
    UnmatchedResult,
)
from labs.queries.candidate_search import namesakes
from labs.queries.candidates import Ranked
from labs.queries.refused import refused

CRITICAL = (Flag.CRITICAL_LOW, Flag.CRITICAL_HIGH)
NEW = timedelta(hours=24)


def would_be(
    unmatched: UnmatchedResult, runs: Iterable[TestRun], ranked: Ranked
) -> tuple[bool, tuple[str, ...]]:
    """Whether rule A would attach it to the first candidate, and the sentences against that. What
    costs statements is looked up only where the rest allows it: about one orphan in five."""
    runs = list(runs)
    ranking = ranked.ranking
    cheap = Case(
        ranking=ranking,
        categories=tuple(text for run in runs for text in (run.category, run.test_name)),
        contradicts_request=unmatched.reason == UnmatchedReason.CONFLICT,
        several_animals=False,
        identity_changed=bool(unmatched.contradictions),
    )
    yes, against = automatic(cheap)
    first = cheap.first
    if first is None or any(clause.broken(cheap, first) for clause in REQUIRED):
        return yes, against
    return automatic(_whole(unmatched, ranking, cheap))


def _whole(unmatched: UnmatchedResult, ranking: Ranking, cheap: Case) -> Case:
    first = ranking.found[0]
    others = namesakes(unmatched.clinic_id, first.animal, ranking.orphan.registry)
    known: dict[str, Any] = {
        name: getattr(cheap, name)
        for name in ("categories", "contradicts_request", "identity_changed")
    }
    pk = unmatched.pk  # None of one that is not stored (the benchmark's)
    back = frozenset(refused(unmatched)) if pk else frozenset()
    return Case(
        ranking=ranking,
        namesakes=namesakes_of(first.animal, others),
        critical=bool(pk)
        and Observation.objects.filter(
            Q(flag_delivered__in=CRITICAL) | Q(flag_delivered="", flag_computed__in=CRITICAL),
            run__unmatched_id=pk,
            current=True,
        ).exists(),
        refused=back,
        unmatched_before=bool(back),
        made_for_this=_new(unmatched, first.animal.key) if pk else frozenset(),
        **known,
    )


def _new(unmatched: UnmatchedResult, patient: int) -> frozenset[int]:
    """The first candidate, where it was added after the result came and within a day."""
    fresh = Patient.objects.filter(
        pk=patient,
        created_at__gte=max(unmatched.created_at, timezone.now() - NEW),
    )
    return frozenset(fresh.values_list("pk", flat=True))
