"""Rows for tests, made the way the application makes them: through its services where there is one.

Every function works with no argument at all; what a test cares about it names.
"""

from __future__ import annotations

import itertools
import struct
import zlib
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from django.contrib.auth.models import User
from django.utils import timezone

from labs.models import (
    Clinic,
    LabRequest,
    Membership,
    Message,
    Owner,
    Panel,
    Patient,
    Role,
    Submission,
    UnmatchedReason,
    UnmatchedResult,
)
from labs.order import Receipt, TestOutcome
from labs.report import File, Identity, Report, Row, Run
from labs.services.intake import journal, results, typed
from labs.services.orders import ordering, submissions

VENDOR = "heska"
# Beyond every number that a test writes out: "C-777" was another owner's in a long run.
_number = itertools.count(1_000_000)


def make_clinic(name: str = "Elm Street Veterinary Clinic", **fields: Any) -> Clinic:
    fields.setdefault("timezone", "America/Denver")
    return Clinic.objects.create(name=name, **fields)


def make_staff(
    role: str = Role.TECHNICIAN,
    *,
    clinic: Clinic | None = None,
    username: str = "",
    password: str = "",
    **fields: Any,
) -> User:
    """A person who works at that clinic. Without a password sign in with `client.force_login`."""
    user = User(username=username or f"staff{next(_number)}", **fields)
    if password:
        user.set_password(password)
    else:
        user.set_unusable_password()
    user.save()
    Membership.objects.create(user=user, clinic=clinic or make_clinic(), role=role)
    return user


def make_owner(clinic: Clinic | None = None, **fields: Any) -> Owner:
    number = next(_number)
    fields = {
        "owner_id": f"C-{number}",
        "first_name": "Ana",
        "last_name": "Example",
        **fields,
    }
    return Owner.objects.create(clinic=clinic or make_clinic(), **fields)


def make_patient(clinic: Clinic | None = None, **fields: Any) -> Patient:
    """A dog with an owner, unless the fields say otherwise."""
    clinic = clinic or make_clinic()
    fields = {
        "patient_id": f"P-{next(_number)}",
        "name": "Biscuit",
        "species": "dog",
        **fields,
    }
    if "owner" not in fields:
        fields["owner"] = make_owner(clinic)
    return Patient.objects.create(clinic=clinic, **fields)


def make_request(
    patient: Patient | None = None,
    *,
    acting_user: User | None = None,
    panels: Sequence[str] = ("HHEM-1",),
    accepted: bool = False,
    **fields: Any,
) -> LabRequest:
    """A placed order of those panel codes; `accepted` takes it past the laboratory's answer."""
    known = {panel.code: panel for panel in Panel.objects.filter(code__in=panels)}
    request = ordering.place_request(
        acting_user=acting_user,
        patient=patient or make_patient(),
        panels=[known[code] for code in panels],
        **fields,
    )
    if accepted:
        accept(request)
    return request


def accept(
    request: LabRequest,
    *,
    external_id: str = "",
    outcomes: tuple[TestOutcome, ...] = (),
) -> None:
    """What the worker does when the laboratory takes the order."""
    claim = submissions.claim(Submission.objects.get(request=request).pk)
    assert claim is not None, "the submission is not due"
    submissions.settle_accepted(
        claim,
        Receipt(external_id=external_id or f"HR-{next(_number)}", tests=outcomes),
    )
    request.refresh_from_db()


def make_row(code: str = "WBC", value: str | None = "6.13", **fields: Any) -> Row:
    fields = {
        "sequence": "1",
        "name": "",
        "unit": "10^3/uL",
        "low": "4.00",
        "high": "16.53",
        "range_kind": "reference",
        **fields,
    }
    return Row(code=code, value=value, **fields)


def make_run(rows: Sequence[Row] | None = None, **fields: Any) -> Run:
    """One run of a CBC on an Element HT5, unless the fields say otherwise."""
    fields = {
        "key": f"run-{next(_number)}",
        "test_code": "HHEM-1",
        "test_name": "CBC",
        "status": "final",
        "run_at": timezone.now(),
        "analyzer_model": "Element HT5",
        "analyzer_serial": "HT5-0001",
        **fields,
    }
    return Run(rows=tuple([make_row()] if rows is None else rows), **fields)


def make_report(runs: Sequence[Run] | None = None, **fields: Any) -> Report:
    fields = {
        "message_id": f"message-{next(_number)}",
        "status": "final",
        "version": 1,
        "reported_at": timezone.now(),
        **fields,
    }
    return Report(runs=tuple([make_run()] if runs is None else runs), **fields)


def make_message(
    clinic: Clinic, *, raw: bytes = b"", received_at: datetime | None = None
) -> Message:
    """An inbound message in the journal, not read yet. Its body is its own, so it is no copy."""
    message, _ = journal.receive(
        vendor=VENDOR,
        clinic=clinic,
        sender="tests",
        target="/api/labresults/tests",
        headers={"content-type": "application/json"},
        raw=raw or b'{"test": %d}' % next(_number),
    )
    if received_at:
        message.received_at = received_at
        message.save(update_fields=["received_at"])
    return message


def make_result(
    request: LabRequest | None = None,
    report: Report | None = None,
    *,
    message: Message | None = None,
) -> Message:
    """File a report onto the request; `request` is up to date afterwards. Where the report
    contradicts the request it becomes an unmatched result: see the message's state."""
    request = request or make_request(accepted=True)
    report = report or make_report(
        [
            make_run(
                test_code=test.panel.code,
                test_name=test.panel.name,
                analyzer_model=test.panel.analyzer_model,
            )
            for test in request.tests.select_related("panel")
        ],
        identity=Identity(
            patient_name=request.patient.name,
            species=request.patient.species,
            species_code=request.patient.species,
        ),
    )
    message = message or make_message(request.clinic)
    results.file_report(message=message, report=report, result_key=request.result_key)
    request.refresh_from_db()
    message.refresh_from_db()
    return message


def make_typed(
    patient: Patient | None = None, *, acting_user: User | None = None, **values: str
) -> LabRequest:
    """A CBC that a person typed in: by code, the value; a lone WBC where none is given."""
    patient = patient or make_patient()
    panel = Panel.objects.get(code="HHEM-1")
    lines = [
        replace(line, value=(values or {"WBC": "6.13"}).get(line.analyte.code, ""))
        for line in typed.lines_of(panel)
    ]
    return typed.type_result(
        acting_user=acting_user or make_staff(clinic=patient.clinic),
        patient=patient,
        panel=panel,
        lines=lines,
        run_at=timezone.now(),
    )


def make_unmatched(
    clinic: Clinic | None = None,
    report: Report | None = None,
    *,
    reason: UnmatchedReason = UnmatchedReason.NO_REQUEST,
    received_at: datetime | None = None,
    **typed: str,
) -> UnmatchedResult:
    """An orphan in that clinic's queue; `typed` are fields of labs.report.Identity."""
    typed = {
        "patient_name": "BISCUIT",
        "species": "Canine",
        "species_code": "dog",
        **typed,
    }
    report = report or make_report(external_id=f"UM-{next(_number)}", identity=Identity(**typed))
    message = make_message(clinic or make_clinic())
    results.file_report(message=message, report=report, result_key=None)
    message.refresh_from_db()
    unmatched = message.unmatched
    assert unmatched is not None
    unmatched.reason = reason
    unmatched.save(update_fields=["reason"])
    if received_at:
        UnmatchedResult.objects.filter(pk=unmatched.pk).update(created_at=received_at)
        unmatched.refresh_from_db()
    return unmatched


def make_picture(**fields: Any) -> File:
    """A white PNG of 240 x 120 pixels, as a scatter plot."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = struct.pack(">IIBBBBB", 240, 120, 8, 0, 0, 0, 0)
    pixels = zlib.compress((b"\0" + b"\xff" * 240) * 120)
    fields = {
        "attachment_id": "A1",
        "file_name": "scatter.png",
        "content": b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", pixels)
        + chunk(b"IEND", b""),
        "content_type": "image/png",
        "description": "Scatter plot",
        **fields,
    }
    return File(**fields)
