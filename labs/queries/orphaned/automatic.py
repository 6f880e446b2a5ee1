"""What rule A would do with an orphan: everything that the rule asks about, gathered."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils import timezone

from labs.matching import compare, rule, weights
from labs.matching.rule import REQUIRED, Case, automatic, namesakes_of
from labs.matching.score import Ranking
from labs.models import (
    Clinic,
    MatchDecision,
    Merge,
    Observation,
    Patient,
    TestRun,
    UnmatchedReason,
    UnmatchedResult,
)
from labs.models.result import is_critical
from labs.queries.orphaned.candidates import Ranked
from labs.queries.orphaned.on_file import namesakes
from labs.queries.orphaned.refused import refused

NEW = timedelta(hours=24)
# Everything by whose change a decision could come out otherwise.
MODEL = f"{rule.VERSION} {weights.VERSION} {compare.VERSION}"
Action = MatchDecision.Action


def would_be(
    unmatched: UnmatchedResult,
    runs: Iterable[TestRun],
    ranked: Ranked,
    *,
    import_running: bool = False,
) -> tuple[bool, tuple[str, ...]]:
    """Whether rule A would attach it to the first candidate, and the sentences against that. What
    costs statements is looked up only where the rest allows it: about one orphan in five.

    `import_running` is the caller's to find out: only who asks for the clinic's lock knows."""
    runs = list(runs)
    ranking = ranked.ranking
    cheap = Case(
        ranking=ranking,
        categories=tuple(text for run in runs for text in (run.category, run.test_name)),
        contradicts_request=unmatched.reason == UnmatchedReason.CONFLICT,
        several_animals=unmatched.split_from_id is not None,
        import_running=import_running,
        model_changed_today=model_changed_today(unmatched.clinic),
        open_requests=len(ranked.found[0].targets) if ranked.found else 0,
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
        for name in (
            *("categories", "contradicts_request", "identity_changed"),
            *("import_running", "model_changed_today", "open_requests"),
        )
    }
    pk = unmatched.pk  # None of one that is not stored (the benchmark's)
    back = frozenset(refused(unmatched)) if pk else frozenset()
    done = set(unmatched.decisions.values_list("action", flat=True)) if pk else set()
    return Case(
        ranking=ranking,
        namesakes=namesakes_of(first.animal, others),
        critical=bool(pk)
        and Observation.objects.filter(
            is_critical(),
            run__unmatched_id=pk,
            current=True,
        ).exists(),
        refused=back,
        unmatched_before=bool(back) or Action.UNMATCH in done,
        several_animals=cheap.several_animals or Action.SPLIT in done,
        made_for_this=_new(unmatched, first.animal.key) if pk else frozenset(),
        merged=_merged(first.animal.key),
        **known,
    )


def model_changed_today(clinic: Clinic) -> bool:
    """By the clinic's own calendar; also where the change has not been noted yet."""
    if clinic.automatic_model and clinic.automatic_model != MODEL:
        return True
    changed = clinic.automatic_model_changed
    if changed is None:
        return False
    now = timezone.now().astimezone(clinic.zone)
    return changed.astimezone(clinic.zone).date() == now.date()


def _new(unmatched: UnmatchedResult, patient: int) -> frozenset[int]:
    """The first candidate, where it was added after the result came and within a day."""
    fresh = Patient.objects.filter(
        pk=patient,
        created_at__gte=max(unmatched.created_at, timezone.now() - NEW),
    )
    return frozenset(fresh.values_list("pk", flat=True))


def _merged(patient: int) -> frozenset[int]:
    """The first candidate, where a person ever took its record and another one for one animal."""
    merges = Merge.objects.filter(Q(merged=patient) | Q(into=patient))
    return frozenset([patient] if merges.exists() else [])


def to_look_at(clinic_id: int) -> QuerySet[MatchDecision]:
    """The automatic matches of a clinic that stand and that no person has looked at."""
    looked = MatchDecision.objects.filter(
        unmatched=OuterRef("unmatched"), action=Action.CONFIRM, pk__gt=OuterRef("pk")
    )
    return MatchDecision.objects.filter(
        ~Exists(looked),
        unmatched__clinic=clinic_id,
        method=MatchDecision.Method.AUTO,
        active=True,
    ).select_related("patient", "request")
