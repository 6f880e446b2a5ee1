"""All that is held on an owner: for their own eyes, and for whoever is asked to erase it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from django.db import connection
from django.db.models import Model, Q, QuerySet

from labs import vendors
from labs.models import (
    Alarm,
    Attachment,
    LabEvent,
    LabRequest,
    LabResult,
    Merge,
    Message,
    MessageState,
    Owner,
    Patient,
    Submission,
    UnmatchedResult,
    UnmatchedState,
    Visit,
    Weight,
)
from labs.queries.records.event_words import event_said, event_what, event_who

# A search through what nobody has indexed; the deadline of a page is too short for a large clinic.
SECONDS = 50
SENT, PRINTED = "result.sent", "result.printed"
LOOKED_THROUGH = 5_000


@dataclass(frozen=True, kw_only=True)
class Held:
    """By primary keys and querysets, so that counting reads no bodies."""

    owner: Owner
    patients: QuerySet[Patient]
    # Of the requests, those that went out under another owner's id.
    of_others: frozenset[int]
    requests: QuerySet[LabRequest]
    unmatched: QuerySet[UnmatchedResult]
    submissions: QuerySet[Submission]
    messages: QuerySet[Message]
    events: QuerySet[LabEvent]


def held(owner: Owner) -> Held:
    """What is on the owner's animals, also where their record was merged away since, what was sent
    to the laboratory under the owner's id, also for an animal that has another owner by now, and
    what came under that id. Not what stood there by a mistake that was taken back."""
    _patience()
    clinic = owner.clinic_id
    patients = Patient.objects.filter(owner=owner)
    merges = Merge.objects.filter(merged__in=patients, undone_at=None)
    moved = [pk for merge in merges for pk, *_ in merge.moved["requests"]]
    requests = LabRequest.objects.filter(
        Q(patient__in=patients) | Q(sent_for__in=patients) | Q(pk__in=[*moved, *_sent_as(owner)]),
        clinic=clinic,
    )
    pks = set(requests.values_list("pk", flat=True))
    found = UnmatchedResult.objects.filter(clinic=clinic)
    orphans = set(
        found.filter(
            Q(runs__request__in=pks)
            | Q(decisions__request__in=pks, decisions__active=True)
            | Q(typed__owner_id=owner.owner_id)
            # May be hers as long as it is on nobody's.
            | (
                (Q(suggested_request__in=pks) | Q(decisions__request__in=pks))
                & ~Q(state=UnmatchedState.MATCHED)
            )
        ).values_list("pk", flat=True)
    )
    # Those that are one report with them.
    orphans |= set(found.filter(split_from__in=orphans).values_list("pk", flat=True))
    orphans |= set(
        found.filter(pk__in=orphans, split_from__isnull=False).values_list("split_from", flat=True)
    )
    messages = Message.objects.filter(
        Q(request__in=pks)
        | Q(unmatched__in=orphans)
        | Q(submission__request__in=pks)
        | Q(parts__request__in=pks)
        | Q(parts__unmatched__in=orphans),
        clinic=clinic,
    )
    return Held(
        owner=owner,
        patients=patients,
        of_others=_of_others(owner, pks),
        requests=LabRequest.objects.filter(pk__in=pks),
        unmatched=UnmatchedResult.objects.filter(pk__in=orphans),
        submissions=Submission.objects.filter(request__in=pks),
        messages=Message.objects.filter(pk__in=set(messages.values_list("pk", flat=True))),
        events=LabEvent.objects.filter(
            Q(patient__in=patients) | Q(data__owner=owner.pk) | Q(data__owner=owner.owner_id),
            clinic=clinic,
        ),
    )


def _sent_as(owner: Owner) -> list[int]:
    """Requests that went out under that owner's id. The text alone does not tell: an animal may
    bear the same number."""
    words = {json.dumps(owner.owner_id), json.dumps(owner.owner_id, ensure_ascii=False)}
    written = Q()
    for word in words:
        written |= Q(sent_body__contains=word)
    sent = Submission.objects.filter(written, clinic=owner.clinic_id)
    return [
        each.request_id
        for each in sent.only("request", "vendor", "sent_body").iterator(500)
        if _owner_in(each) == owner.owner_id
    ]


def _of_others(owner: Owner, requests: set[int]) -> frozenset[int]:
    sent = Submission.objects.filter(request__in=requests).exclude(sent_body="")
    return frozenset(
        each.request_id
        for each in sent.only("request", "vendor", "sent_body").iterator(500)
        if _owner_in(each) not in ("", owner.owner_id)
    )


def _owner_in(submission: Submission) -> str:
    return vendors.get(submission.vendor).owner_in(submission.sent_body)


def in_the_way(found: Held) -> list[str]:
    """Why nothing can be erased yet, in sentences that say what to do; empty where it can. What
    still comes would bring the name back, and what nobody has filed must not lose it (I1)."""
    owner = found.owner
    said = []
    open_ = [request.lab_report_id for request in found.requests.open()]  # type: ignore[attr-defined]
    if open_:
        said.append(f"Results are still to come for {_listed(open_)}: wait for them, or cancel.")
    waiting = found.unmatched.exclude(state=UnmatchedState.MATCHED).count()
    if waiting:
        said.append(
            f"{waiting} unmatched {'result' if waiting == 1 else 'results'} may be of this owner's "
            "animals: match them first, or say under Unmatched whose they are."
        )
    unread = _naming(owner)
    if unread:
        said.append(
            f"Messages that could not be filed name this owner ({_listed(unread)}): replay them "
            "first under Messages, or ask your operator."
        )
    return said


def _naming(owner: Owner) -> list[str]:
    """Of what waits or lies in quarantine, that in which the owner's id, e-mail, phone or surname
    stands."""
    words = [
        word.casefold()
        for word in (owner.owner_id, owner.email, owner.phone, owner.last_name)
        if len(word) > 2
    ]
    rows = Message.objects.filter(
        clinic=owner.clinic_id,
        direction=Message.Direction.IN,
        state__in=[MessageState.RECEIVED, MessageState.QUARANTINED],
    )
    return [
        message.receipt_id
        for message in rows.only("receipt_id", "raw")[:LOOKED_THROUGH].iterator(50)
        if _holds(bytes(message.raw), words)
    ]


def _holds(raw: bytes, words: list[str]) -> bool:
    text = raw.decode("utf-8", "replace").casefold()
    return any(word in text for word in words)


def _listed(names: list[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")


def export(found: Held) -> dict[str, Any]:
    """As plain data: what a person may take away. Bodies of messages that hold other owners'
    animals too are left out; their parts are there, each a message of its own. So are those of
    orders that went out under the name of who had the animal before: the results are there."""
    owner = found.owner
    several = set(found.messages.filter(parts__isnull=False).values_list("pk", flat=True))
    theirs = Q(request__in=found.of_others) | Q(submission__request__in=found.of_others)
    several |= set(found.messages.filter(theirs).values_list("pk", flat=True))
    return {
        "owner": _row(owner),
        "animals": [
            {
                **_row(patient),
                "weights": [_row(each) for each in Weight.objects.filter(patient=patient)],
                "visits": [_row(each) for each in Visit.objects.filter(patient=patient)],
            }
            for patient in found.patients
        ],
        "requests": [
            _request(request, of_another=request.pk in found.of_others)
            for request in found.requests.order_by("pk")
        ],
        "unmatched_results": [
            {
                **_row(each, "typed", "contradictions"),
                "decisions": [
                    _row(decision, without=("evidence",)) for decision in each.decisions.all()
                ],
            }
            for each in found.unmatched.order_by("pk")
        ],
        "messages": [
            {
                **_row(message, without=("raw", "reply", "headers", "reply_headers", "dedupe_key")),
                "body": None if message.pk in several else _text(message.raw),
                "answer": None if message.pk in several else _text(message.reply),
            }
            for message in found.messages.order_by("pk").iterator(50)
        ],
        "reports_given": [
            _event(event)
            for event in found.events.filter(verb__in=[SENT, PRINTED]).select_related(
                "actor", "patient", "request", "words"
            )
        ],
        "on_record": [
            _event(event)
            for event in found.events.select_related(
                "actor", "patient", "request", "words"
            ).order_by("pk")
        ],
    }


def _request(request: LabRequest, *, of_another: bool) -> dict[str, Any]:
    results = LabResult.objects.filter(run__request=request).select_related("run").order_by("pk")
    sent = Submission.objects.filter(request=request).first()
    return {
        **_row(request, without=("result_key", "form_key")),
        "tests": [test.panel.name for test in request.tests.select_related("panel")],
        "specimens": [_row(each) for each in request.specimen_set.all()],
        "sent_to_the_laboratory": sent.sent_body if sent and not of_another else "",
        "told": [_row(each) for each in request.told.all()],
        "follow_ups": [_row(each) for each in request.follow_ups.all()],
        "hand_overs": [_row(each) for each in request.hand_overs.all()],
        "alarms": [_row(each) for each in Alarm.objects.filter(run__request=request)],
        "results": [
            {
                "test": str(result.run),
                **_row(result),
                "rows": [
                    _row(each, without=("warnings",))
                    for each in result.observations.order_by("position")
                ],
                "reviews": [_row(review) for review in result.reviews.all()],
                "files": [
                    _row(file, without=("content",))
                    for file in Attachment.objects.filter(result=result)
                ],
            }
            for result in results
        ],
    }


def _event(event: LabEvent) -> dict[str, Any]:
    return {
        "at": event.at,
        "who": event_who(event),
        "what": event_what(event),
        "request": event.request.lab_report_id if event.request else "",
        "data": event.data,
        "words": event_said(event),
    }


def _row(row: Model, *also: str, without: tuple[str, ...] = ()) -> dict[str, Any]:
    """Its columns under their names, but for keys of the database."""
    return {
        field.name: getattr(row, field.name)
        for field in row._meta.concrete_fields
        if field.name in also
        or not (field.primary_key or field.is_relation or field.name in without)
    }


def _text(raw: bytes | memoryview | None) -> str | None:
    return None if raw is None else bytes(raw).decode("utf-8", "replace")


def _patience() -> None:
    """Until the end of the transaction, if there is one."""
    if connection.vendor == "postgresql" and connection.in_atomic_block:
        with connection.cursor() as cursor:
            cursor.execute(f"SET LOCAL statement_timeout = '{SECONDS}s'")
