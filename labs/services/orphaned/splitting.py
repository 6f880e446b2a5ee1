"""One message, two animals: the runs of one become an unmatched result of their own."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from django.db import transaction

from labs import roles
from labs.errors import InvalidInput
from labs.models import MatchDecision, UnmatchedResult, UnmatchedState
from labs.services.intake import orphans
from labs.services.orphaned.decisions import claim, decide

if TYPE_CHECKING:
    from django.contrib.auth.models import User

WHY = "Its report held two animals, and a person split it."


def split(
    *,
    acting_user: User | None,
    unmatched: UnmatchedResult,
    runs: Iterable[int],
    expected_version: int,
    reason: str = "",
) -> UnmatchedResult:
    """Take those runs (primary keys) out of an orphan that waits, into one of their own with the
    same typed identity, and return it. From then on each run's later versions follow the decision
    about its own part, and what is new in a later message waits for a person.

    Raises Stale, NotAllowed, InvalidInput where that would leave one of the two without a run, or
    the orphan is matched or dismissed.
    """
    roles.require(acting_user, unmatched.clinic, "match")
    with transaction.atomic():
        # It stays what it was, open or held; the version says that nobody changed it meanwhile.
        waits = [UnmatchedState.OPEN, UnmatchedState.HELD]
        stays = next((state for state in waits if state == unmatched.state), UnmatchedState.OPEN)
        claim(unmatched, expected_version, from_states=waits, to_state=stays)
        chosen = unmatched.runs.filter(pk__in=list(runs))
        if not chosen.exists():
            raise InvalidInput("Choose the tests that belong to the other animal.")
        if not unmatched.runs.exclude(pk__in=chosen.values("pk")).exists():
            raise InvalidInput("Leave at least one test here: of all of them it is one animal.")
        part = orphans.new_part(unmatched, WHY)
        chosen.update(unmatched=part)
        if WHY not in unmatched.contradictions:
            # Neither half is filed by an emergency code any more: whose would it be?
            unmatched.contradictions = [*unmatched.contradictions, WHY]
            unmatched.save(update_fields=["contradictions"])
        for each in (unmatched, part):
            decide(each, MatchDecision.Action.SPLIT, acting_user, reason)
    return part
