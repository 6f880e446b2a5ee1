"""A mail a day to each clinic's administrators about what waits in the unmatched queue: a queue
that nobody looks at is where results are forgotten."""

from __future__ import annotations

import logging
from datetime import date, datetime

from django.conf import settings
from django.core.mail import send_mail
from django.db.models import Q
from django.utils import timezone

from labs.models import Clinic, Membership, Role
from labs.queries.nav import Nav, nav
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
    if not counts.unmatched or not to:
        return False
    try:
        send_mail(_subject(clinic, counts), _text(clinic, counts), None, to)
    except Exception:
        _give_back(clinic, today, before)
        raise
    record(
        "digest.sent", clinic=clinic, waiting=counts.unmatched, critical=counts.critical_unmatched
    )
    return True


def _give_back(clinic: Clinic, today: date, before: date | None) -> None:
    Clinic.objects.filter(pk=clinic.pk, digest_on=today).update(digest_on=before)


def _addresses(clinic: Clinic) -> list[str]:
    rows = Membership.objects.filter(clinic=clinic, role=Role.ADMIN, user__is_active=True)
    return sorted(set(rows.exclude(user__email="").values_list("user__email", flat=True)))


def _subject(clinic: Clinic, counts: Nav) -> str:
    waits = f"{counts.unmatched} unmatched result{'s' * (counts.unmatched != 1)}"
    critical = f", {counts.critical_unmatched} critical" if counts.critical_unmatched else ""
    return f"{clinic}: {waits}{critical}, the oldest for {counts.age}"


def _text(clinic: Clinic, counts: Nav) -> str:
    """Numbers and a link: mail is read by others, so no animal and no owner is named."""
    lines = [
        f"{counts.unmatched} laboratory results of {clinic} are on no animal's record.",
        f"The oldest has waited for {counts.age}.",
    ]
    if counts.critical_unmatched:
        lines.append(f"{counts.critical_unmatched} of them with critical values. Look at them now.")
    lines += [
        "",
        f"{settings.PUBLIC_BASE_URL}/unmatched/",
        "",
        "This comes once a day while something waits. An administrator sets the hour, or turns it",
        "off, under Administration, Clinics.",
    ]
    return "\n".join(lines)
