"""Reading filed messages again with a newer adapter: what would differ, and putting it in place.

Only what a message says may differ, never where it went: no re-reading moves a result (I2). Both
comparing and applying build the rows as filing does, so what applying stores is what comparing
showed, and afterwards nothing differs.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from django.db import transaction

from labs import quick, roles, vendors
from labs.models import LabResult, Message, MessageState, Observation, RequestedTest, ResultStatus
from labs.report import Report
from labs.services.events import record
from labs.services.intake import orphans, runs, versions
from labs.services.intake.differences import Difference
from labs.services.intake.reread_plan import (
    OF_FILE,
    OF_MESSAGE,
    OF_RUN,
    Part,
    Place,
    Plan,
    difference_of,
    message_of,
    place_of,
    plan_of,
    read_today,
    run_key_of,
)
from labs.services.intake.results import as_read
from labs.services.intake.rows import Known, observations
from labs.services.orders import codes, states
from labs.services.reviews import alarms, species

if TYPE_CHECKING:
    from django.contrib.auth.models import User
    from django.db.models import QuerySet

    from labs.models import TestRun

BATCH = 200


def filed(messages: QuerySet[Message]) -> QuerySet[Message]:
    """Those of them from which something was filed, and which can still be read. An array is read
    by its parts."""
    return messages.filter(
        direction=Message.Direction.IN,
        state__in=[MessageState.FILED, MessageState.UNMATCHED],
        parts=None,
        blanked_at=None,
    )


def each(messages: QuerySet[Message]) -> Iterator[int]:
    """Their primary keys in order, a batch at a time: neither memory nor a cursor is held over any
    number of them, and what is read again meanwhile is not met twice."""
    last = 0
    while batch := list(
        messages.filter(pk__gt=last).order_by("pk").values_list("pk", flat=True)[:BATCH]
    ):
        yield from batch
        last = batch[-1]


def compare(pk: int) -> Difference | None:
    """What this message, filed before, gives otherwise as it is read today. None: nothing. Changes
    nothing."""
    message = message_of(pk)
    report, unreadable = read_today(message)
    if report is None:
        return difference_of(message, unreadable=unreadable)
    plan = plan_of(message, report, place_of(message))
    return plan.difference or None


def apply(
    pk: int,
    *,
    acting_user: User | None = None,
    source: str = "command",
    although: bool = False,
) -> tuple[Difference | None, bool]:
    """Store what differs as another reading, in one transaction with its audit. Idempotent. What
    was read before stays stored; a review of something else than what is shown now opens again.

    Nothing is stored of a message that cannot be read today, nor, unless `although`, of one that
    now contradicts the request it is filed on: a person has to look. Returns what differed, and
    whether it is in place now.
    """
    message = message_of(pk)
    if acting_user is not None and message.clinic is not None:
        roles.require(acting_user, message.clinic, "administer")
    report, unreadable = read_today(message)
    if report is None:
        return difference_of(message, unreadable=unreadable), False
    with transaction.atomic():
        place = place_of(message, lock=True)
        # Somebody else may have applied it while we waited for the lock.
        message.refresh_from_db(fields=[*OF_MESSAGE, "adapter_version"])
        plan = plan_of(message, report, place)
        if not plan.difference:
            return None, True
        if plan.difference.contradicts and not although:
            return plan.difference, False
        _store(plan, place, acting_user, source)
    return plan.difference, True


def _store(plan: Plan, place: Place, acting_user: User | None, source: str) -> None:
    message, report = plan.message, plan.report
    analytes = codes.analytes_for(message, report, plan.limits_for)
    touched = []
    for part in plan.parts:
        if part.change.about and part.run is not None and part.read is not None:
            described = runs.described(part.read)
            for column in OF_RUN:
                setattr(part.run, column, getattr(described, column))
            quick.update(part.run, *OF_RUN)
        if part.change.version_differs:
            touched.append(_store_version(message, report, part, place, analytes, plan.limits_for))
    _store_files(plan)
    read = as_read(report)
    adapter = vendors.get(message.vendor).adapter_version
    read.pk, read.adapter_version = message.pk, adapter
    quick.update(read, *OF_MESSAGE, "adapter_version")
    for run in touched:
        versions.refresh(run)
        alarms.look_again(run)
        if run.request is not None:
            species.assess([run], run.request.patient.species)
        if run.versions.filter(current=True, status=ResultStatus.WITHDRAWN).exists():
            RequestedTest.objects.filter(reported_run=run).update(reported_run=None)
    record(
        "result.reread",
        clinic=message.clinic,
        acting_user=acting_user,
        source=source,
        request=place.request,
        unmatched=place.unmatched,
        message=message,
        adapter_before=message.adapter_version,
        adapter=adapter,
        runs=[part.change.key for part in plan.parts],
        contradicts=len(plan.difference.contradicts),
    )
    if place.is_split:
        for _, request in place.matched(run.run_key for run in touched):
            states.refresh(request)
    # Every part: what their pages show of the message may have changed.
    for standing in place.parts:
        standing.version += 1
        quick.update(standing, "version")
    if place.request is not None:
        states.refresh(place.request, held=place.held)


def _store_version(
    message: Message,
    report: Report,
    part: Part,
    place: Place,
    analytes: dict[str, Known],
    limits_for: str,
) -> TestRun:
    """The next reading of the run; one that is read no more is withdrawn, with what it was."""
    earlier = part.stored
    if part.read is None:
        if earlier is None or part.run is None:
            raise ValueError("A run that goes is a run that was there.")
        run = part.run
        result = LabResult(
            clinic=earlier.clinic,
            run=run,
            message=message,
            status=ResultStatus.WITHDRAWN,
            report_version=earlier.report_version,
            reported_at=earlier.reported_at,
            run_at=earlier.run_at,
            run_at_text=earlier.run_at_text,
            species=earlier.species,
            digest="",
        )
    else:
        tests = place.held.tests if place.held else []
        unmatched = place.unmatched
        if part.run is None and place.is_split and unmatched is not None:
            unmatched = orphans.late_part(unmatched, message)
        run = part.run or runs.new_run(message, part.read, place.request, unmatched, tests)
        result = runs.version_of(message, report, part.read, run)
    result.reading = earlier.reading + 1 if earlier else 1
    result.limits_for = limits_for
    # `refresh` marks the current one, whatever was there before.
    quick.insert(result)
    # When it came is when its message came, and not now.
    LabResult.objects.filter(pk=result.pk).update(received_at=message.received_at)
    if part.read is not None:
        rows = observations(result=result, run=run, rows=part.read.rows, analytes=analytes)
        quick.insert_many(Observation, rows)
    return run


def _store_files(plan: Plan) -> None:
    results = {
        version.run.run_key: version
        for version in versions.newest_readings(
            LabResult.objects.filter(message=plan.message).select_related("run")
        )
    }
    for key, attachment, earlier in plan.files:
        attachment.result = results[key] if key is not None else None
        if earlier is None:
            attachment.save()
            continue
        names = list(OF_FILE)
        for name in names:
            setattr(earlier, name, getattr(attachment, name))
        if run_key_of(earlier) != key:
            earlier.result = attachment.result
            names.append("result")
        earlier.save(update_fields=names)
