"""A mail a day to each clinic about what waits in the unmatched queue and what fell through since
yesterday: a queue that nobody looks at is where results are forgotten. To its administrators, or to
whom they named."""

from __future__ import annotations

import logging
from datetime import date, datetime

from django.conf import settings
from django.core.mail import send_mail
from django.db.models import Q
from django.utils import timezone

from labs.models import Clinic, Membership, Role
from labs.models.clinic import addresses_in
from labs.queries.overview import reconciliation
from labs.queries.overview.nav import Nav, nav
from labs.queries.overview.reconciliation import Gaps
from labs.services.events import record

log = logging.getLogger(__name__)


def send_due() -> int:
    """Send what is due by each clinic's own clock; returns how many were sent. Call it as often as
    you like, and from two schedulers: a clinic's day is taken by one conditional UPDATE. Where the
    mail server takes nothing the day is given back, and the next call tries again."""
    now = timezone.now()
    sent = 0
    for clinic in Clinic.objects.exclude(digest_at=None):
        try:
            sent += _send(clinic, now)
        except OSError:  # SMTPException is one
            # One clinic's mail must not keep the others waiting.
            log.exception("The digest of %s could not be sent", clinic.public_id)
    return sent


def _send(clinic: Clinic, now: datetime) -> bool:
    local = now.astimezone(clinic.zone)
    if clinic.digest_at is None or local.time() < clinic.digest_at:
        return False
    today, before = local.date(), clinic.digest_on
    if before is not None and before >= today:
        return False
    days = Clinic.objects.filter(Q(digest_on=None) | Q(digest_on__lt=today), pk=clinic.pk)
    if not days.update(digest_on=today):
        return False  # another scheduler has it in hand
    counts = nav(clinic)
    to = _addresses(clinic)
    gaps = reconciliation.gaps(clinic, before=_midnight(local))
    # What is not charged is said with the rest: a clinic that writes its bills elsewhere and never
    # marks any would get a mail about it every day.
    if not (counts.unmatched or gaps.missing or gaps.unreviewed) or not to:
        return False
    try:
        send_mail(_subject(clinic, counts, gaps), _text(clinic, counts, gaps), None, to)
    except Exception:
        _give_back(clinic, today, before)
        raise
    record(
        "digest.sent",
        clinic=clinic,
        waiting=counts.unmatched,
        critical=counts.critical_unmatched,
        missing=gaps.missing,
        unreviewed=gaps.unreviewed,
        uncharged=gaps.uncharged,
    )
    return True


def _midnight(local: datetime) -> datetime:
    """When that day began, by the clinic's own clock."""
    return local.replace(hour=0, minute=0, second=0, microsecond=0)


def _give_back(clinic: Clinic, today: date, before: date | None) -> None:
    Clinic.objects.filter(pk=clinic.pk, digest_on=today).update(digest_on=before)


def _addresses(clinic: Clinic) -> list[str]:
    """Whom the clinic's administrators named, else they themselves."""
    if named := addresses_in(clinic.digest_to):
        return sorted(set(named))
    rows = Membership.objects.filter(clinic=clinic, role=Role.ADMIN, user__is_active=True)
    return sorted(set(rows.exclude(user__email="").values_list("user__email", flat=True)))


def _subject(clinic: Clinic, counts: Nav, gaps: Gaps) -> str:
    found = []
    if counts.unmatched:
        critical = f", {counts.critical_unmatched} critical" if counts.critical_unmatched else ""
        found.append(f"{_many(counts.unmatched, 'unmatched result')}{critical}")
        found.append(f"the oldest for {counts.age}")
    if gaps.unreviewed:
        found.append(f"{gaps.unreviewed} not reviewed")
    if gaps.missing:
        found.append(f"{gaps.missing} without a result")
    return f"{clinic}: {', '.join(found)}"


def _many(count: int, what: str) -> str:
    return f"{count} {what}{'s' * (count != 1)}"


def _text(clinic: Clinic, counts: Nav, gaps: Gaps) -> str:
    """Numbers and links: mail is read by others, so no animal and no owner is named."""
    base = settings.PUBLIC_BASE_URL
    lines = []
    if counts.unmatched:
        lines += [
            f"{counts.unmatched} laboratory results of {clinic} are on no animal's record.",
            f"The oldest has waited for {counts.age}.",
        ]
        if counts.critical_unmatched:
            lines.append(
                f"{counts.critical_unmatched} of them with critical values. Look at them now."
            )
        lines += ["", f"{base}/unmatched/", ""]
    if gaps.any:
        lines.append("From before today:")
        for count, words in (
            (gaps.missing, "requested, and not all of it has come"),
            (gaps.unreviewed, "come, and not reviewed by a veterinarian"),
            (gaps.uncharged, "reviewed, and not marked as charged"),
        ):
            if count:
                lines.append(f"  {count:>5}  {words}")
        lines += ["", f"{base}/reconciliation/", ""]
    lines += [
        "This comes once a day while something waits. An administrator sets the hour and who gets",
        "it, or turns it off, under Administration, Clinics.",
    ]
    return "\n".join(lines)
