"""Who is told of an alarm: the vet responsible at once, everybody where nobody has acknowledged it
in time. On every page, and by e-mail.

Everything is in rows: a sweep that is killed, runs twice or comes late tells everybody once. A
letter is claimed before it is sent. Only where the process dies between the mail server's answer
and the next commit is it sent again, under the same Message-ID, by which mail programs know it as
the same one.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from django.conf import settings
from django.core.mail import EmailMessage
from django.db import transaction
from django.db.models import Q, QuerySet
from django.urls import reverse
from django.utils import timezone

from labs import roles
from labs.errors import InvalidInput
from labs.models import Alarm, AlarmNotice, Clinic, Membership, Role
from labs.querysets import works_now
from labs.services.events import record

if TYPE_CHECKING:
    from django.contrib.auth.models import User

log = logging.getLogger(__name__)
BATCH = 500
LEASE = timedelta(minutes=2)
RETRY = timedelta(minutes=1)
LONGEST_WAIT = 240
Stage = AlarmNotice.Stage


def sweep() -> int:
    """Tell whoever is to be told now. Call it as often as you like. Returns how many letters
    went."""
    now = timezone.now()
    for alarm in _open().filter(first_at=None)[:BATCH]:
        _tell_first(alarm, now)
    for alarm in _open().filter(first_at__isnull=False, all_at=None)[:BATCH]:
        wait = timedelta(minutes=alarm.clinic.escalate_minutes)
        if alarm.raised_at + wait <= now:
            _tell_all(alarm, now)
    return _send(now)


def responsible(alarm: Alarm) -> list[Membership]:
    """The vet to whom the request was given, else who ordered it; and who is on duty. Only those
    who are veterinarians of the clinic today."""
    request, duty = alarm.run.request, alarm.clinic.duty_vet_id
    people = {duty}
    if request is not None:
        people.add(request.assigned_to_id or request.requested_by_id)
    vets = vets_of(alarm.clinic).filter(user__in=people - {None})
    return list(vets.select_related("user"))


def _open() -> QuerySet[Alarm]:
    rows: QuerySet[Alarm] = Alarm.objects.open()
    return rows.select_related("clinic", "run__request").order_by("raised_at", "pk")


def _tell_first(alarm: Alarm, now: datetime) -> None:
    first = responsible(alarm)
    with transaction.atomic():
        if not Alarm.objects.filter(pk=alarm.pk, ended="", first_at=None).update(first_at=now):
            return  # another scheduler has it in hand
        _notice(alarm, Stage.FIRST, first, now)
    if not first:
        _tell_all(alarm, now)


def _tell_all(alarm: Alarm, now: datetime) -> None:
    with transaction.atomic():
        if not Alarm.objects.filter(pk=alarm.pk, ended="", all_at=None).update(all_at=now):
            return
        everybody = staff_of(alarm.clinic).select_related("user")
        _notice(alarm, Stage.ALL, everybody, now)


def _notice(alarm: Alarm, stage: str, people: Iterable[Membership], now: datetime) -> None:
    AlarmNotice.objects.bulk_create(
        [
            AlarmNotice(
                alarm=alarm, user=place.user, stage=stage, address=place.user.email, not_before=now
            )
            for place in people
        ],
        ignore_conflicts=True,
    )


def _send(now: datetime) -> int:
    """Letters that are due, of alarms that still stand."""
    free = Q(lease_until=None) | Q(lease_until__lt=now)
    due = (
        AlarmNotice.objects.filter(
            free, sent_at=None, not_before__lte=now, alarm__in=Alarm.objects.open()
        )
        .exclude(address="")
        .select_related("alarm__clinic", "alarm__run__request", "alarm__run__unmatched")
        .order_by("not_before", "pk")
    )
    sent = 0
    for notice in due[:BATCH]:
        claimed = AlarmNotice.objects.filter(free, pk=notice.pk, sent_at=None)
        if not claimed.update(lease_until=timezone.now() + LEASE, tries=notice.tries + 1):
            continue
        try:
            letter(notice).send()
        except Exception:
            # Whatever it was, the next person's letter goes all the same.
            log.exception("A letter about an alarm could not be sent")
            AlarmNotice.objects.filter(pk=notice.pk).update(
                lease_until=None, not_before=timezone.now() + RETRY * min(notice.tries + 1, 30)
            )
        else:
            AlarmNotice.objects.filter(pk=notice.pk).update(
                sent_at=timezone.now(), lease_until=None
            )
            sent += 1
    return sent


def letter(notice: AlarmNotice) -> EmailMessage:
    """A link and no value: mail is read by others, so no animal and no owner is named either."""
    alarm = notice.alarm
    clinic = " ".join(str(alarm.clinic).split())
    waits = f"Nobody has acknowledged it in {alarm.clinic.escalate_minutes} minutes.\n"
    host = alarm.clinic.public_id
    return EmailMessage(
        subject=f"{clinic}: a laboratory result has to be looked at now",
        body=(
            f"A laboratory result of {clinic} has to be looked at now.\n"
            f"{waits if notice.stage == Stage.ALL and alarm.first_at != alarm.all_at else ''}"
            "\n"
            f"{settings.PUBLIC_BASE_URL}{reverse('labs:alarms')}\n\n"
            "Whoever has seen it says so there. Until then everybody at the clinic is told.\n"
        ),
        to=[notice.address],
        headers={"Message-ID": f"<alarm-{alarm.uuid}-{notice.pk}@{host}.lab>"},
    )


def set_duty_vet(*, acting_user: User, clinic: Clinic, vet: User | None) -> None:
    """From now on that veterinarian of the clinic is on duty; None: nobody. Raises NotAllowed,
    InvalidInput."""
    roles.require(acting_user, clinic, "unreviewed")
    if vet is not None and not vets_of(clinic).filter(user=vet).exists():
        raise not_a_vet()
    with transaction.atomic():
        Clinic.objects.filter(pk=clinic.pk).update(duty_vet=vet)
        record("duty.changed", clinic=clinic, acting_user=acting_user, to=vet.pk if vet else None)


def set_wait(*, acting_user: User, clinic: Clinic, minutes: int) -> None:
    """After how many minutes everybody is told. Raises NotAllowed, InvalidInput."""
    roles.require(acting_user, clinic, "administer")
    if not 1 <= minutes <= LONGEST_WAIT:
        raise InvalidInput(f"Give a number of minutes from 1 to {LONGEST_WAIT}.")
    with transaction.atomic():
        Clinic.objects.filter(pk=clinic.pk).update(escalate_minutes=minutes)
        record("escalation.changed", clinic=clinic, acting_user=acting_user, minutes=minutes)


def not_a_vet() -> InvalidInput:
    return InvalidInput("Choose a veterinarian of this clinic.")


def vets_of(clinic: Clinic) -> QuerySet[Membership]:
    """Who is a veterinarian there today."""
    return Membership.objects.filter(
        works_now(), clinic=clinic, role=Role.VET, user__is_active=True
    )


def staff_of(clinic: Clinic) -> QuerySet[Membership]:
    """Who sees results there before a veterinarian has reviewed them."""
    return Membership.objects.filter(
        works_now(), clinic=clinic, role__in=roles.LABORATORY, user__is_active=True
    )
