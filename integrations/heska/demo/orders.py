"""Placing the demo's orders, and posting what came of them, as it would have gone over the wire."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.urls import reverse

from integrations.heska.conf import VENDOR
from integrations.heska.demo import analyzer
from integrations.heska.demo.clock import clock
from integrations.heska.demo.practices import Opened
from integrations.heska.services import filing
from integrations.heska.simulator.bodies import encode
from integrations.heska.wire import outbound
from labs.models import (
    LabRequest,
    Message,
    MessageState,
    Panel,
    Patient,
    Role,
    Submission,
)
from labs.order import Receipt
from labs.services.events import record
from labs.services.intake import journal
from labs.services.orders import states, submissions
from labs.services.orders.ordering import Collection, create_request

Json = dict[str, Any]


@dataclass
class Ordered:
    """A placed order: what was sent of it, and the laboratory's own id once it was accepted."""

    opened: Opened
    request: LabRequest
    claim: submissions.Claim
    body: Json
    external_id: str = ""
    told: Mapping[str, float] = field(default_factory=dict)

    def block(self, code: str, run_at: datetime) -> Json:
        tests = {test["TestCode"]: test for test in self.body["Tests"]}
        return analyzer.test_block(
            code=code,
            species=self.request.patient.species,
            clinic_id=self.request.clinic.public_id,
            external_id=self.external_id,
            run_at=run_at.astimezone(self.request.clinic.zone),
            animal=self.request.patient.patient_id,
            told=self.told,
            ordered=tests[code],
            sequence=int(tests[code]["TestRequestId"].rpartition("-")[2]),
        )

    def message(
        self, blocks: list[Json], *, at: datetime, version: int, status: str = "Final"
    ) -> Json:
        return analyzer.message(
            external_id=self.external_id,
            version=version,
            status=status,
            clinic_id=self.request.clinic.public_id,
            reported_at=at,
            people={name: self.body[name] for name in ("Patient", "Client", "Doctor")},
            tests=blocks,
            lab_report_id=self.request.lab_report_id,
        )


def order(
    opened: Opened,
    patient: Patient,
    codes: Sequence[str],
    *,
    at: datetime,
    doctor: str,
    notes: str = "",
    told: Mapping[str, float] | None = None,
    ids: tuple[str, str] | None = None,
) -> Ordered:
    """A request that was placed at that moment and is being sent. No worker is woken for it.

    `ids`: its LabReportId and result key, where the contract's examples name them.
    """
    technician = opened.users[Role.TECHNICIAN]
    panels = {panel.code: panel for panel in Panel.objects.filter(code__in=codes)}
    with clock(at):
        request = create_request(
            acting_user=technician,
            patient=patient,
            panels=[panels[code] for code in codes],
            doctor=doctor,
            notes=notes,
            collection=Collection(
                collected_at=at - timedelta(minutes=6),
                collected_by=technician.get_full_name(),
            ),
        )
        if ids:
            _rename(request, *ids)
        submission = Submission.objects.create(
            clinic=opened.clinic, request=request, vendor=VENDOR, not_before=at
        )
        record(
            "request.placed",
            clinic=opened.clinic,
            acting_user=technician,
            request=request,
            tests=list(codes),
        )
        states.refresh(request)
        claim = submissions.claim(submission.pk)
        if claim is None:
            raise RuntimeError("The demo's order is not due.")
        body = outbound.order_body(submissions.order_of(claim.submission))
    return Ordered(opened, request, claim, body, told=told or {})


def _rename(request: LabRequest, lab_report_id: str, result_key: str) -> None:
    request.lab_report_id, request.result_key = lab_report_id, result_key
    request.save(update_fields=["lab_report_id", "result_key"])
    for test in request.tests.all():
        test.test_request_id = f"{lab_report_id}-{test.position}"
        test.save(update_fields=["test_request_id"])


def accept(ordered: Ordered, external_id: str, *, at: datetime) -> None:
    """The laboratory takes the order."""
    with clock(at):
        submissions.settle_accepted(ordered.claim, Receipt(external_id=external_id))
    ordered.external_id = external_id


def post_result(ordered: Ordered, body: Json, *, at: datetime) -> Message:
    """A result comes in at the request's own address."""
    target = reverse("heska:result", args=[ordered.request.result_key])
    return _post(ordered.opened, target, body, at)


def post_unmatched(opened: Opened, body: Json, *, at: datetime) -> Message:
    """A result that nobody ordered comes in at the clinic's address."""
    return _post(opened, reverse("heska:unmatched", args=[opened.clinic.public_id]), body, at)


def _post(opened: Opened, target: str, body: Json, at: datetime) -> Message:
    with clock(at):
        message = journal.unsaved(
            vendor=VENDOR,
            clinic=opened.clinic,
            sender="demo",
            target=target,
            headers={"Content-Type": "application/json"},
            raw=encode(body),
        )
        message.save()
        filing.file_stored(message)
    message.refresh_from_db()
    if message.state not in (MessageState.FILED, MessageState.UNMATCHED):
        raise RuntimeError(f"The demo's own message was not filed: {message.cause}")
    return message
