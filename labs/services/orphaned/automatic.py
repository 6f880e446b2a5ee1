"""Rule A at work: what it allows is attached without a person, and a person looks at it afterwards.

It works from the stored queue, never in the request that receives a result: that it fails, or is
slow, is nothing to what comes in."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from django.db import OperationalError, transaction
from django.db.models import F

from labs import roles
from labs.errors import InvalidInput, LabError
from labs.models import (
    Automatic,
    Clinic,
    MatchDecision,
    UnmatchedResult,
    UnmatchedState,
)
from labs.queries.orphaned import automatic as facts
from labs.queries.orphaned import orphans
from labs.queries.orphaned.candidates import Ranked, beside, rank
from labs.services.orphaned import automatic_switch, matching
from labs.services.orphaned.decisions import claim, decide

if TYPE_CHECKING:
    from django.contrib.auth.models import User

log = logging.getLogger(__name__)

SOURCE = "automatic"
BATCH = 200
# Why an automatic match is taken back by one key; whatever the reason, it counts as a disagreement.
TAKEN_BACK = "Automatic match taken back"


def sweep() -> int:
    """At each clinic that has it on, say the rule's word once to every version of what has come
    since then, waits, and was never touched by a person. Returns how many were attached. What fails
    is left to a person and the others go on."""
    attached = 0
    for clinic in Clinic.objects.exclude(automatic=Automatic.OFF):
        try:
            automatic_switch.note_model(clinic)
            if clinic.automatic == Automatic.ON:
                attached += sum(_try(orphan) for orphan in _new(clinic))
        except OperationalError:
            # Busy, or an import holds the whole database (SQLite): what is not done yet is next
            # time.
            log.warning("Automatic matching of clinic %s comes next time", clinic.pk, exc_info=True)
    return attached


def confirm(*, acting_user: User, unmatched: UnmatchedResult, expected_version: int) -> None:
    """A person has looked at an automatic match, and it is right. Raises Stale, NotAllowed,
    InvalidInput where there is none, or somebody looked already."""
    roles.require(acting_user, unmatched.clinic, "match")
    with transaction.atomic():
        claim(
            unmatched,
            expected_version,
            from_states=[UnmatchedState.MATCHED],
            to_state=UnmatchedState.MATCHED,
        )
        standing = facts.to_look_at(unmatched.clinic_id).filter(unmatched=unmatched).first()
        if standing is None:
            raise InvalidInput("This match is not automatic, or somebody has looked at it already.")
        decide(
            unmatched,
            MatchDecision.Action.CONFIRM,
            acting_user,
            "",
            patient=standing.patient,
            request=standing.request,
        )


def _new(clinic: Clinic) -> list[UnmatchedResult]:
    rows = orphans.orphans().filter(
        clinic=clinic,
        state=UnmatchedState.OPEN,
        rule_tried__lt=F("version"),
        created_at__gte=clinic.automatic_since or clinic.created_at,
        emergency=None,
        decisions=None,
    )
    return list(rows[:BATCH])


def _try(unmatched: UnmatchedResult) -> bool:
    """Weighed first without a lock, because most are for a person; then again under the clinic's,
    which an import of patients holds while it runs."""
    try:
        runs = orphans.runs_of(unmatched)
        may, _ = facts.would_be(unmatched, runs, rank(unmatched, runs=runs))
        if may:
            return _attach(unmatched)
    except OperationalError:
        raise
    except LabError as problem:
        # Such as a person who was faster, or a message that came meanwhile: of the new version it
        # says its word again.
        log.info("Unmatched result %s is left to a person: %s", unmatched.pk, problem.message)
    except Exception:
        log.exception("Automatic matching of unmatched result %s failed", unmatched.pk)
    _tried(unmatched)
    return False


def _attach(unmatched: UnmatchedResult) -> bool:
    version = unmatched.version
    with transaction.atomic():
        free = Clinic.objects.select_for_update(no_key=True, skip_locked=True)
        clinic = free.filter(pk=unmatched.clinic_id).first()
        if clinic is not None and clinic.automatic != Automatic.ON:
            return False  # somebody disagreed a moment ago
        if clinic is not None:
            unmatched.clinic = clinic
        runs = orphans.runs_of(unmatched)
        ranked = rank(unmatched, runs=runs)
        may, against = facts.would_be(unmatched, runs, ranked, import_running=clinic is None)
        if not may:
            if clinic is not None:
                _tried(unmatched)
            log.info("Unmatched result %s waits: %s", unmatched.pk, " ".join(against))
            return False
        first = ranked.found[0]
        matching.match(
            acting_user=None,
            source=SOURCE,
            method=MatchDecision.Method.AUTO,
            unmatched=unmatched,
            patient=first.patient,
            request=first.targets[0].request if first.targets else None,
            expected_version=version,
            reason="Rule A",
            evidence=_evidence(ranked),
        )
    return True


def _evidence(ranked: Ranked) -> dict[str, Any]:
    """As a person's decision keeps it, with the rule's version."""
    return {
        **ranked.found[0].evidence,
        "found_by": "rule",
        "model": facts.MODEL,
        "nobody": round(ranked.nobody, 6),
        "others": beside(ranked.found[1:]),
    }


def _tried(unmatched: UnmatchedResult) -> None:
    """With the version that was looked at: a message that came meanwhile is looked at again."""
    UnmatchedResult.objects.filter(pk=unmatched.pk).update(rule_tried=unmatched.version)
