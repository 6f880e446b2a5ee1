"""A match against a contradiction (species, sex, weight, death) is looked at by a second person.
They say that it is right, which stays on record, or take it back as any match."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import transaction

from labs import roles
from labs.errors import InvalidInput, NotAllowed
from labs.models import MatchDecision, UnmatchedResult, UnmatchedState
from labs.queries.orphaned.second_look import to_check
from labs.services.orphaned.decisions import claim, decide

if TYPE_CHECKING:
    from django.contrib.auth.models import User

# Why it is taken back by one key.
TAKEN_BACK = "Second person: not this animal"


def check(*, acting_user: User, unmatched: UnmatchedResult, expected_version: int) -> None:
    """It is right. Raises Stale; NotAllowed, also to the person who made the match; InvalidInput
    where none waits for that, or somebody was faster."""
    roles.require(acting_user, unmatched.clinic, "match")
    with transaction.atomic():
        claim(
            unmatched,
            expected_version,
            from_states=[UnmatchedState.MATCHED],
            to_state=UnmatchedState.MATCHED,
        )
        standing = to_check(unmatched.clinic_id).filter(unmatched=unmatched).first()
        if standing is None:
            raise InvalidInput("This match waits for no check, or somebody has checked it already.")
        if standing.actor_id == acting_user.pk:
            raise NotAllowed("You attached it yourself: a second person checks it.")
        decide(
            unmatched,
            MatchDecision.Action.CHECK,
            acting_user,
            "",
            patient=standing.patient,
            request=standing.request,
        )
