"""Giving the owner the report of a request, on paper or by e-mail. What was given to whom is in the
audit, by ids alone, so that a correction or a move finds everybody who has an earlier one."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Mapping
from smtplib import SMTPException
from typing import TYPE_CHECKING

from django.core.mail import EmailMessage

from labs import roles
from labs.errors import InvalidInput, Stale
from labs.models import LabRequest
from labs.services.events import record
from labs.services.reviews.viewing import NOT_SENT, PRINTED, SENT, TOLD

if TYPE_CHECKING:
    from django.contrib.auth.models import User

log = logging.getLogger(__name__)


def printed(*, acting_user: User, request: LabRequest, results: Mapping[str, int]) -> None:
    """That a person took the report to paper. Raises NotAllowed."""
    roles.require(acting_user, request.clinic, "report")
    record(
        PRINTED,
        clinic=request.clinic,
        acting_user=acting_user,
        request=request,
        version=request.version,
        owner=request.patient.owner_id,
        results=dict(results),
    )


def send(
    *,
    acting_user: User,
    request: LabRequest,
    content: bytes,
    results: Mapping[str, int],
    address: str,
    expected_version: int,
) -> None:
    """E-mail that PDF to the owner, at the address on the record and at no other: a person has read
    it as `address`. Raises Stale where the address or the results changed since, InvalidInput where
    nothing can be sent or the mail server did not take it, NotAllowed.

    The audit row comes first, and a second one where the server refused: were it the other way
    round, a crash between the two would leave somebody with a report of whom nobody knows.
    """
    roles.require(acting_user, request.clinic, "report")
    owner = request.patient.owner
    if owner is None or not owner.email:
        raise InvalidInput("No e-mail address of the owner is recorded. Add it to the record.")
    if address.strip().casefold() != owner.email.casefold():
        raise Stale(f"The address on the record is {owner.email} now. Read it, then send again.")
    if request.version != expected_version:
        raise Stale("The results changed while you were reading. Read the report again.")
    if not results:
        raise InvalidInput("There are no results to send yet.")
    sending = uuid.uuid4().hex
    what = {"clinic": request.clinic, "acting_user": acting_user, "request": request}
    record(
        SENT,
        **what,
        sending=sending,
        version=request.version,
        owner=owner.pk,
        results=dict(results),
    )
    name = " ".join(request.patient.name.split())
    message = EmailMessage(
        subject=f"Laboratory report for {name}, {request.lab_report_id}",
        body=(
            f"{request.clinic.name} sends you the laboratory report for {name} as a PDF.\n\n"
            "If you did not expect it, tell the clinic and delete it.\n"
        ),
        to=[owner.email],
        reply_to=[request.clinic.email] if request.clinic.email else None,
    )
    message.attach(f"{request.lab_report_id}.pdf", content, "application/pdf")
    try:
        message.send()
    except (SMTPException, OSError) as error:
        log.warning("The report of %s was not sent: %s", request.lab_report_id, error)
        record(NOT_SENT, **what, sending=sending)
        raise InvalidInput(
            "The mail server did not take the report, so nothing was sent. Try again later, or "
            "print it."
        ) from error


def told(
    *, acting_user: User, request: LabRequest, patient: int, owner: int, results: Mapping[str, int]
) -> None:
    """That an owner who has an earlier report (of that patient, by primary keys; 0 for an owner who
    is not recorded) knows that it is out of date. Raises NotAllowed."""
    roles.require(acting_user, request.clinic, "report")
    record(
        TOLD,
        clinic=request.clinic,
        acting_user=acting_user,
        request=request,
        of=patient,
        owner=owner or None,
        results=dict(results),
    )
