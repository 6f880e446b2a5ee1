"""The journal watched: the conservation law, and that nothing waits long to be filed."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from django.db import connection, transaction
from django.utils import timezone

from labs.models import Clinic, JournalCheck
from labs.queries.records import journal

log = logging.getLogger(__name__)

# What the check may take of a database that also serves people; a million messages take seconds.
STATEMENT_SECONDS = 50


@dataclass(frozen=True, kw_only=True)
class Found:
    """Of one clinic, by its public id; "" of messages that belong to none."""

    clinic: str
    late: int
    balance: journal.Balance

    @property
    def well(self) -> bool:
        return self.balance.holds and not self.late


def check() -> list[Found]:
    """Look at every clinic's journal, keep what was found for its administrators, and log as an
    error what is not as it must be. Returns that."""
    with transaction.atomic():
        if connection.vendor == "postgresql":
            with connection.cursor() as cursor:
                cursor.execute(f"SET LOCAL statement_timeout = '{STATEMENT_SECONDS}s'")
        balances = journal.balances()
        late = journal.late_by_clinic()
        clinics = list(Clinic.objects.all())
        now = timezone.now()
        JournalCheck.objects.bulk_create(
            [
                JournalCheck(
                    clinic=clinic,
                    checked_at=now,
                    holds=balance.holds,
                    received=balance.received,
                    accounted=balance.accounted,
                    lost=list(balance.lost),
                )
                for clinic in clinics
                for balance in [balances.get(clinic.pk, journal.Balance())]
            ],
            update_conflicts=True,
            unique_fields=["clinic"],
            update_fields=["checked_at", "holds", "received", "accounted", "lost"],
        )
    names = {clinic.pk: clinic.public_id for clinic in clinics}
    found = [
        Found(
            clinic=names.get(pk, "") if pk else "",
            late=late.get(pk, 0),
            balance=balances.get(pk, journal.Balance()),
        )
        for pk in {*balances, *late}
    ]
    for each in found:
        _say(each)
    return [each for each in found if not each.well]


def _say(found: Found) -> None:
    where = found.clinic or "no clinic"
    balance = found.balance
    if found.late:
        log.error(
            "%d messages of %s wait to be filed for more than %d minutes",
            found.late,
            where,
            journal.LATE.total_seconds() // 60,
        )
    if not balance.holds:
        log.error(
            "The journal of %s does not balance: %d received, %d found; not found: %s",
            where,
            balance.received,
            balance.accounted,
            ", ".join(balance.lost) or "none, so some are found twice",
        )
