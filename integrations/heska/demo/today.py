"""What the demo's clinics are busy with now: the worklist in every state that people can see."""

from __future__ import annotations

import json
import uuid
from datetime import datetime, timedelta
from decimal import Decimal

from integrations.heska.demo.clock import clock
from integrations.heska.demo.orders import Ordered, accept, order, post_result
from integrations.heska.demo.past import deliver, sign
from integrations.heska.demo.practices import Opened
from integrations.heska.simulator import corrections
from integrations.heska.simulator.bodies import preliminary
from labs.models import Message, Patient, Role
from labs.services.orders import submissions
from labs.services.orders.ordering import cancel_request
from labs.services.registry import patients

# The request that the contract's example bodies 03, 04, 06 and 07 speak of.
EXAMPLE_IDS = ("VL-3F7K2M9Q", "k9d2c7e1f0a84bX5mQ2rTz")
EXAMPLE_EXTERNAL_ID = "94877"


class Day:
    """Places orders so many minutes before now, at one clinic."""

    def __init__(self, opened: Opened, now: datetime, first_external_id: int) -> None:
        self.opened, self.now = opened, now
        self.next_id = first_external_id
        self.doctor = opened.practice.person(Role.VET).as_doctor
        found = Patient.objects.filter(clinic=opened.clinic).select_related("clinic", "owner")
        self.patients = {patient.patient_id: patient for patient in found}

    def ago(self, minutes: float) -> datetime:
        return self.now - timedelta(minutes=minutes)

    def visit(self, patient_id: str, minutes: float) -> None:
        """`minutes` ago, or, where negative, still to come."""
        patients.record_visit(
            acting_user=None,
            patient=self.patients[patient_id],
            at=self.ago(minutes).replace(second=0, microsecond=0),
            doctor=self.doctor,
        )

    def order(
        self,
        patient_id: str,
        codes: str,
        minutes: float,
        told: dict[str, float] | None = None,
        *,
        notes: str = "",
        accepted: bool = True,
    ) -> Ordered:
        self.visit(patient_id, minutes + 20)
        ordered = order(
            self.opened,
            self.patients[patient_id],
            codes.split(),
            at=self.ago(minutes),
            doctor=self.doctor,
            notes=notes,
            told=told,
        )
        if accepted:
            self.next_id += 1
            accept(ordered, str(self.next_id), at=self.ago(minutes) + timedelta(seconds=2))
        return ordered


def fill(day: Day) -> None:
    """Elm Street's day."""
    contract_example(day)
    running(day)
    waiting(day)
    corrected(day)
    refused(day)
    for patient_id, minutes in [("P-10420", 185), ("P-10421", -40), ("P-10423", -95)]:
        day.visit(patient_id, minutes)


def contract_example(day: Day) -> None:
    """README's curl walk-through posts the contract's example bodies to this one."""
    day.visit("P-10482", 34)
    patients.record_weight(
        acting_user=None,
        patient=day.patients["P-10482"],
        kg=Decimal("31.40"),
        measured_on=day.ago(34).date(),
    )
    ordered = order(
        day.opened,
        day.patients["P-10482"],
        ["HHEM-1", "HDC-3"],
        at=day.ago(14),
        doctor="Sample, Sam",
        notes="Vomiting 2 days; fasted 8 h",
        ids=EXAMPLE_IDS,
    )
    accept(ordered, EXAMPLE_EXTERNAL_ID, at=day.ago(14) + timedelta(seconds=1))


def running(day: Day) -> None:
    """One preliminary, one partial, one that waits for Heska."""
    ordered = day.order("P-10409", "HDC-1", 18)
    block = preliminary(ordered.block("HDC-1", day.ago(14)))
    early = ordered.message([block], at=day.ago(7), version=1, status="Preliminary")
    post_result(ordered, early, at=day.ago(7))

    ordered = day.order("P-10410", "HHEM-1 HDC-1", 22)
    count = ordered.block("HHEM-1", day.ago(17))
    post_result(ordered, ordered.message([count], at=day.ago(12), version=1), at=day.ago(12))

    ordered = day.order("P-10417", "HHEM-1", 5, accepted=False)
    with clock(day.ago(5) + timedelta(seconds=1)):
        submissions.settle_retry(
            ordered.claim,
            error="Heska is busy.",
            words="Rate limit is exceeded. Try again in 1800 seconds.",
            outcome_unknown=False,
            retry_after=timedelta(minutes=30),
        )


def waiting(day: Day) -> None:
    """Complete and unsigned, one of them critical."""
    critical = {"K": 7.9, "Na": 121.0, "Cl": 93.0, "GLU": 62.0, "CREA": 2.3, "BUN": 58.0}
    notes = "Collapsed at home, weak pulse"
    deliver(day.order("P-10407", "HHEM-1 HDC-3", 52, critical, notes=notes), day.ago(52))
    deliver(day.order("P-10411", "HHEM-1 HDC-1", 98), day.ago(98))
    deliver(day.order("P-10405", "HIP-1", 176, {"TT4": 2.3}), day.ago(176))
    told = {"CREA": 4.1, "BUN": 76.0, "PHOS": 7.3, "K": 3.6}
    deliver(day.order("P-10401", "HDC-3", 244, told, notes="Eats less"), day.ago(244))


def corrected(day: Day) -> None:
    """Signed yesterday; then the analyzer corrected a value."""
    ordered = day.order("P-10408", "HHEM-1", 26 * 60, {"PLT": 41.0, "HCT": 42.0})
    deliver(ordered, day.ago(26 * 60))
    sign(day.opened, ordered.request, at=day.ago(25 * 60))
    message = Message.objects.get(request=ordered.request, direction=Message.Direction.IN)
    sent = json.loads(bytes(message.raw))
    built = corrections.correction(
        sent,
        message_id=str(uuid.uuid5(uuid.NAMESPACE_URL, "demo correction")),
        version=2,
        now=day.ago(3 * 60),
        analyte="PLT",
        value="228",
    )
    post_result(ordered, built | {"CorrectionReason": "Sample re-run, clumps"}, at=day.ago(180))


def refused(day: Day) -> None:
    """One that Heska would not take, one that nobody wants any more."""
    ordered = day.order("P-10413", "HHEM-1 HDC-3", 131, accepted=False)
    with clock(day.ago(131) + timedelta(seconds=1)):
        submissions.settle_rejected(
            ordered.claim, error="Heska refused the order.", words="Invalid BreedId 370"
        )
    ordered = day.order("P-10424", "HAIM-1", 27 * 60)
    with clock(day.ago(26.5 * 60)):
        cancel_request(
            acting_user=day.opened.users[Role.TECHNICIAN],
            request=ordered.request,
            reason="No urine could be collected",
        )
