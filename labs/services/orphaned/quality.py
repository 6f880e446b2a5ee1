"""Quality-control runs put away together: only those that say of themselves that they are some."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING
from uuid import UUID

from labs import roles
from labs.errors import LabError
from labs.models import Clinic, UnmatchedResult
from labs.queries.orphaned.quality import describe
from labs.services.orphaned import matching

if TYPE_CHECKING:
    from django.contrib.auth.models import User

REASON = "Quality control run"


def dismiss_together(
    *,
    acting_user: User,
    clinic: Clinic,
    chosen: Iterable[tuple[UUID, int]],
    critical_seen: Iterable[UUID] = (),
) -> tuple[int, list[str]]:
    """Dismiss each of them as `matching.dismiss` does, with its own history, as it was shown (uuid
    and version). One with a critical value only where it stands in `critical_seen` too: that is
    never put away unseen. Returns how many, and a sentence for each that was left. Raises
    NotAllowed."""
    roles.require(acting_user, clinic, "match")
    versions, seen = dict(chosen), set(critical_seen)
    rows = UnmatchedResult.objects.filter(clinic=clinic, uuid__in=versions)
    says_so = {control.orphan.pk: control for control in describe(rows)}
    done, left = 0, []
    for orphan in rows:
        control = says_so.get(orphan.pk)
        if control is None:
            left.append(f"{orphan}: it does not say that it is quality control.")
        elif control.critical and orphan.uuid not in seen:
            left.append(f"{orphan}: it has a critical value ({control.critical[0]}).")
        else:
            try:
                matching.dismiss(
                    acting_user=acting_user,
                    unmatched=orphan,
                    expected_version=versions[orphan.uuid],
                    reason=REASON,
                )
                done += 1
            except LabError as error:
                left.append(f"{orphan}: {error.message}")
    return done, left
