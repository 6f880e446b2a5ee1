"""Who may do what in a clinic: one table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from labs.errors import NotAllowed
from labs.models import Clinic, Membership, Role

if TYPE_CHECKING:
    from django.contrib.auth.models import User

LABORATORY = frozenset({Role.TECHNICIAN, Role.VET, Role.ADMIN})
EVERYBODY = LABORATORY | {Role.RECEPTION}
RIGHTS: dict[str, frozenset[Role]] = {
    # Everything before a vet has signed it: the desk must not read out what may still be wrong.
    "unreviewed": LABORATORY,
    "order": LABORATORY,
    "edit_patient": EVERYBODY,
    # The technician who ran the emergency sample knows best whose it was.
    "match": LABORATORY,
    # Give a report to its owner, also one that says “not reviewed” on every page.
    "report": EVERYBODY,
    # Say that a request is on the owner's bill: the desk writes the bills.
    "charge": EVERYBODY,
    # Say that two records are of one animal, and take it back: all that is known of both is at
    # stake at once.
    "merge": frozenset({Role.VET, Role.ADMIN}),
    "review": frozenset({Role.VET}),
    "administer": frozenset({Role.ADMIN}),
}


def may(user: User, clinic: Clinic, right: str) -> bool:
    """Costs one query."""
    return (
        user.is_active
        and Membership.objects.of(user).filter(clinic=clinic, role__in=RIGHTS[right]).exists()
    )


def require(user: User | None, clinic: Clinic, right: str) -> None:
    """Raises NotAllowed. `None` is the system itself (a command, a vendor), which may."""
    if user is not None and not may(user, clinic, right):
        roles = " or ".join(sorted(Role(role).label.lower() for role in RIGHTS[right]))
        raise NotAllowed(f"Your role at {clinic} does not allow this; ask a {roles}.")
