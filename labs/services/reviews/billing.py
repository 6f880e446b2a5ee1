"""What is on the owner's bill: the practice's own programs write the bills, and a person says here
that it was done."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from django.db import transaction
from django.utils import timezone

from labs import roles
from labs.errors import InvalidInput
from labs.models import Clinic, LabRequest
from labs.services.events import event, record, save

if TYPE_CHECKING:
    from django.contrib.auth.models import User

MOST = 500


def mark_charged(
    *, acting_user: User, clinic: Clinic, lab_report_ids: Iterable[str], charged: bool = True
) -> int:
    """Mark requests of that clinic as charged, or take that back; how many were. Those that say so
    already, or were not reviewed, are left alone. Raises NotAllowed, InvalidInput for none or too
    many at once."""
    roles.require(acting_user, clinic, "charge")
    wanted = sorted(set(lab_report_ids))
    if not wanted:
        raise InvalidInput("Choose what is on the bill first.")
    if len(wanted) > MOST:
        raise InvalidInput(f"These are more than {MOST} at once. Choose fewer.")
    with transaction.atomic():
        rows = list(
            LabRequest.objects.select_for_update(of=("self",))
            .filter(
                clinic=clinic,
                lab_report_id__in=wanted,
                reviewed_at__isnull=False,
                charged_at__isnull=charged,
            )
            .order_by("pk")
        )
        at = timezone.now() if charged else None
        LabRequest.objects.filter(pk__in=[row.pk for row in rows]).update(charged_at=at)
        verb = "request.charged" if charged else "request.uncharged"
        save([event(verb, clinic=clinic, acting_user=acting_user, request=row) for row in rows])
    return len(rows)


def exported(*, acting_user: User, clinic: Clinic, count: int) -> None:
    """That a person took the list of what is not charged. Raises NotAllowed."""
    roles.require(acting_user, clinic, "charge")
    record("charges.exported", clinic=clinic, acting_user=acting_user, count=count)
