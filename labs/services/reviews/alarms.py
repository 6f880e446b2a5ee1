"""Alarms: values that somebody has to acknowledge. Raised in the transaction that files them, so
that none is lost; told by a sweep over the rows, so that neither a broker nor a restart matters."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from labs import limits, quick, roles
from labs.errors import Stale
from labs.models import Alarm, LabEvent, LabResult, TestRun
from labs.models.result import VOID_STATUSES
from labs.services import events

if TYPE_CHECKING:
    from datetime import datetime

    from django.contrib.auth.models import User

log = logging.getLogger(__name__)
Values = list[dict[str, str]]


def raise_for(run: TestRun, result: LabResult, rows: Iterable[Mapping[str, Any]]) -> list[LabEvent]:
    """Of a run's first version, with the columns of its rows; in the caller's transaction. Returns
    its audit, for the caller to write with its own. No statement where nothing is alarming."""
    found = [] if result.status in VOID_STATUSES else _alarming(rows)
    return [_raise(run, result, found)] if found else []


def look_again(run: TestRun, because: Alarm.Ended = Alarm.Ended.CORRECTED) -> None:
    """After a later version, or another reading, was filed, or its values were held against other
    limits: in the caller's transaction, with the run's head row locked. What says the same stays as
    it is, acknowledged or not; what says something else is another alarm; what says nothing
    alarming any more ends the open one."""
    current = run.versions.get(current=True)
    rows = run.observations.filter(current=True).order_by("position", "pk")
    found = [] if current.status in VOID_STATUSES else _alarming(row.__dict__ for row in rows)
    newest = run.alarms.order_by("-pk").first()
    if newest is not None and newest.stands and newest.values == found:
        if not newest.ended:
            Alarm.objects.filter(pk=newest.pk).update(result=current)
        return
    if newest is not None and newest.stands:
        Alarm.objects.filter(pk=newest.pk).update(stands=False)
        if Alarm.objects.filter(pk=newest.pk, ended="").update(
            ended=because, ended_at=timezone.now()
        ):
            _record(f"alarm.{because}", newest, None)
    if found:
        events.save([_raise(run, current, found)])


def another_animals(runs: QuerySet[TestRun], since: datetime | None = None) -> None:
    """Those runs are on another animal's record by now, or on none; in the caller's transaction,
    after they went. Who acknowledged what is alarming in them, since then, did so for an animal
    that it was not, so it is an alarm once more; and of one that is open, whoever is responsible
    now is told."""
    newest: dict[int, Alarm] = {}
    rows = Alarm.objects.filter(run__in=runs, stands=True).select_related(
        "run__request", "run__unmatched", "clinic"
    )
    for alarm in rows.order_by("pk"):
        newest[alarm.run_id] = alarm
    for alarm in newest.values():
        if not alarm.ended:
            # Where everybody was told there is nobody left to tell.
            Alarm.objects.filter(pk=alarm.pk, ended="", all_at=None).update(first_at=None)
        elif since is None or (alarm.ended_at and alarm.ended_at >= since):
            current = alarm.run.versions.get(current=True)
            events.save([_raise(alarm.run, current, alarm.values)])


def acknowledge(*, acting_user: User, alarm: Alarm, expected_result: int, note: str = "") -> None:
    """A person has seen it, in the version that they were shown. `alarm` with its run.

    Raises Stale where the laboratory has corrected it meanwhile or somebody else was first,
    NotAllowed.
    """
    roles.require(acting_user, alarm.clinic, "unreviewed")
    with transaction.atomic():
        changed = Alarm.objects.filter(pk=alarm.pk, ended="", result=expected_result).update(
            ended=Alarm.Ended.ACKNOWLEDGED,
            ended_at=timezone.now(),
            ended_by=acting_user,
            note=note,
        )
        if not changed:
            raise Stale("This changed while you were reading. Look at it again.")
        _record("alarm.acknowledged", alarm, acting_user)


def acknowledge_signed(*, acting_user: User, run: TestRun, result: LabResult) -> None:
    """Whoever signs a version has seen what is alarming in it; in the caller's transaction."""
    for alarm in Alarm.objects.select_related("run", "clinic").filter(
        run=run, result=result, ended=""
    ):
        Alarm.objects.filter(pk=alarm.pk, ended="").update(
            ended=Alarm.Ended.ACKNOWLEDGED, ended_at=timezone.now(), ended_by=acting_user
        )
        _record("alarm.acknowledged", alarm, acting_user)


def _alarming(rows: Iterable[Mapping[str, Any]]) -> Values:
    return [
        {
            "code": row["code"],
            "value": row["value_text"],
            "unit": row["unit"],
            "why": why,
        }
        for row in rows
        if (why := limits.alarming(row))
    ]


def _raise(run: TestRun, result: LabResult, found: Values) -> LabEvent:
    """Returns its audit row, not written yet."""
    alarm = Alarm(clinic=run.clinic, run=run, result=result, values=found, raised_at=timezone.now())
    quick.insert(alarm)
    return _event("alarm.raised", alarm, None)


def _record(verb: str, alarm: Alarm, acting_user: User | None) -> None:
    events.save([_event(verb, alarm, acting_user)])


def _event(verb: str, alarm: Alarm, acting_user: User | None) -> LabEvent:
    return events.event(
        verb,
        clinic=alarm.clinic,
        acting_user=acting_user,
        request=alarm.run.request,
        unmatched=alarm.run.unmatched,
        version=alarm.result_id,
        codes=[value["code"] for value in alarm.values],
    )
