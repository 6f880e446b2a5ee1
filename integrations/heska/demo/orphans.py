"""Results that nobody ordered, of every kind that a clinic meets."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from integrations.heska.demo import analyzer
from integrations.heska.demo.clock import clock
from integrations.heska.demo.orders import post_result, post_unmatched
from integrations.heska.demo.past import sign
from integrations.heska.demo.today import Day
from integrations.heska.simulator.bodies import orphan_people
from integrations.heska.wire.tables import SPECIES_IN
from labs.models import Role, UnmatchedResult
from labs.services.orphaned import matching

Json = dict[str, Any]
DAY = 24 * 60


def fill(day: Day) -> None:
    """Elm Street's queue: certain, tie, conflict, nobody, quality control, and one that is held."""
    day.visit("P-10416", 48)
    orphan(day, "HHEM-1", 26, name="PEPPER", patient_id="P-10416", owner="NGUYEN", species="Canine")
    day.visit("P-10414", 150)
    day.visit("P-10415", 135)
    orphan(day, "HDC-3", 110, name="Luna", species="Canine")
    conflict(day)
    orphan(
        day, "HDC-1", 5 * 60, name="ROCKY", patient_id="000000", owner="Smitherson",
        species="Canine", doctor="Vale",
    )  # fmt: skip
    orphan(day, "HHEM-1", DAY - 20, name="QC LEVEL 2", patient_id="QC", told={"PLT": 74.0})
    day.visit("P-10418", 22 * 60)
    held = orphan(day, "HPOC-1", 21 * 60, name="cat", patient_id="1", species="Feline")
    with clock(day.ago(20.5 * 60)):
        matching.hold(
            acting_user=day.opened.users[Role.TECHNICIAN],
            unmatched=held,
            expected_version=held.version,
            reason="Asked the night shift whose cat this was",
        )


def conflict(day: Day) -> None:
    """Sent for Milo's request, but another cat was typed at the analyzer."""
    ordered = day.order("P-10412", "HHEM-1", 85)
    block = ordered.block("HHEM-1", day.ago(76))
    built = ordered.message([block], at=day.ago(70), version=1)
    patient = built["Patient"] | {"PatientId": "P-10418", "Name": "Smokey", "Sex": "CM"}
    post_result(ordered, built | {"Patient": patient}, at=day.ago(70))


def decided(day: Day) -> None:
    """Of last month: one that was matched and signed, one control run that was put away."""
    user = day.opened.users[Role.TECHNICIAN]
    day.visit("P-10419", 31 * DAY + 30)
    found = orphan(
        day, "HHEM-1", 31 * DAY, name="Duke", patient_id="10419", owner="Evans", species="Canine"
    )
    with clock(day.ago(31 * DAY - 40)):
        request = matching.match(
            acting_user=user,
            unmatched=found,
            patient=day.patients["P-10419"],
            expected_version=found.version,
            reason="The only Duke that was here that day",
        )
    sign(day.opened, request, at=day.ago(31 * DAY - 90))
    control = orphan(day, "HDC-1", 8 * DAY, name="QC", patient_id="QC LOT 118")
    with clock(day.ago(8 * DAY - 15)):
        matching.dismiss(
            acting_user=user,
            unmatched=control,
            expected_version=control.version,
            reason="Weekly quality control",
        )


def orphan(
    day: Day,
    code: str,
    minutes: float,
    *,
    name: str = "",
    patient_id: str = "",
    species: str = "",
    sex: str = "",
    owner: str = "",
    doctor: str = "",
    told: dict[str, float] | None = None,
) -> UnmatchedResult:
    """A run so many minutes ago, with what was typed at the analyzer."""
    day.next_id += 1
    external_id = str(day.next_id)
    at = day.ago(minutes)
    block = analyzer.test_block(
        code=code,
        species=SPECIES_IN.get(species.lower(), "dog"),
        clinic_id=day.opened.clinic.public_id,
        external_id=external_id,
        run_at=(at - timedelta(minutes=5)).astimezone(day.opened.clinic.zone),
        animal=patient_id or name,
        told=told or {},
    )
    built = analyzer.message(
        external_id=external_id,
        version=1,
        status="Final",
        clinic_id=day.opened.clinic.public_id,
        reported_at=at,
        people=orphan_people(
            name=name,
            patient_id=patient_id,
            species=species,
            sex=sex,
            owner=owner,
            doctor=doctor,
        ),
        tests=[block],
    )
    message = post_unmatched(day.opened, built, at=at)
    if message.unmatched is None:
        raise RuntimeError("The demo's orphan is none.")
    return message.unmatched
