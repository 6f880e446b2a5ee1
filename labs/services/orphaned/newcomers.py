"""An animal that is not on file yet is added, and the result put on its record, in one step."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from django.db import transaction

from labs.models import LabRequest, Patient, UnmatchedResult
from labs.services.orphaned import matching

if TYPE_CHECKING:
    from django.contrib.auth.models import User


def add_and_match(
    *,
    acting_user: User,
    unmatched: UnmatchedResult,
    expected_version: int,
    add: Callable[[], Patient],
    ruled_out: list[str],
) -> LabRequest:
    """`add` writes the patient and, if that was said, an owner. All of it or nothing: where the
    match is refused no patient is left behind. `ruled_out`: uuids of the animals on file that the
    person saw and said that it is none of. Raises as `matching.match`."""
    with transaction.atomic():
        patient = add()
        return matching.match(
            acting_user=acting_user,
            unmatched=unmatched,
            patient=patient,
            expected_version=expected_version,
            reason="New patient",
            evidence={"found_by": "new", "ruled_out": ruled_out},
        )
