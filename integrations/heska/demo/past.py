"""Plays the stories of the past through the real services."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal

from integrations.heska.demo.clock import clock
from integrations.heska.demo.orders import Ordered, accept, order, post_result
from integrations.heska.demo.practices import Opened
from integrations.heska.demo.stories import DIED, DOGS_ONLY, Episode, episodes
from integrations.heska.simulator.catalogue import TESTS
from labs.models import LabRequest, Patient, Role
from labs.services.registry import patients
from labs.services.reviews import review

FIRST_EXTERNAL_ID = 71_000
OPENS = 9  # o'clock, in the clinic's own time


def play(opened: dict[str, Opened], now: datetime) -> None:
    """Every episode: visit, weighing, order, results by analyzer, and the vet's signature.

    `opened` by the clinics' public ids. The oldest episode comes first, as rows were made then.
    """
    by_id = {
        patient.patient_id: (each, patient)
        for each in opened.values()
        for patient in Patient.objects.filter(clinic=each.clinic).select_related("clinic", "owner")
    }
    for number, episode in enumerate(episodes()):
        practice, patient = by_id[episode.patient_id]
        at = _moment(practice, now, episode, number)
        ordered = _place(practice, patient, episode, at, number)
        last = deliver(ordered, at)
        sign(practice, ordered.request, at=last + timedelta(minutes=35 + number % 5 * 25))
    _, teddy = by_id[DIED[0]]
    patients.update_patient(
        acting_user=None,
        patient=teddy,
        deceased=True,
        deceased_on=(now - timedelta(days=DIED[1])).date(),
    )


def _moment(opened: Opened, now: datetime, episode: Episode, number: int) -> datetime:
    chance = random.Random(f"{episode.patient_id}|{episode.days}|{number}")  # noqa: S311
    local = now.astimezone(opened.clinic.zone) - timedelta(days=episode.days)
    opening = local.replace(hour=OPENS, minute=0, second=0, microsecond=0)
    return opening + timedelta(seconds=chance.randrange(0, 7 * 3600))


def _place(
    opened: Opened, patient: Patient, episode: Episode, at: datetime, number: int
) -> Ordered:
    doctor = opened.practice.person(Role.VET).as_doctor
    with clock(at):
        patients.record_visit(
            acting_user=None, patient=patient, at=at - timedelta(minutes=25), doctor=doctor
        )
        patients.record_weight(
            acting_user=None,
            patient=patient,
            kg=Decimal(str(episode.kg)),
            measured_on=at.date(),
        )
    codes = [code for code in episode.tests if code != DOGS_ONLY or patient.species == "dog"]
    ordered = order(
        opened, patient, codes, at=at, doctor=doctor, notes=episode.notes, told=episode.told
    )
    accept(ordered, str(FIRST_EXTERNAL_ID + number), at=at + timedelta(seconds=2))
    return ordered


def deliver(ordered: Ordered, at: datetime) -> datetime:
    """One message from each analyzer, when its tests are through. Returns when the last came."""
    last = at
    for version, codes in enumerate(by_analyzer(ordered), start=1):
        last = at + timedelta(minutes=11 + 7 * version, seconds=version * 13)
        started = last - timedelta(minutes=6)
        blocks = [ordered.block(code, started) for code in codes]
        post_result(ordered, ordered.message(blocks, at=last, version=version), at=last)
    return last


def by_analyzer(ordered: Ordered) -> Iterator[list[str]]:
    models: dict[str, list[str]] = {}
    for test in ordered.body["Tests"]:
        models.setdefault(TESTS[test["TestCode"]].model, []).append(test["TestCode"])
    yield from models.values()


def sign(opened: Opened, request: LabRequest, *, at: datetime) -> None:
    """The clinic's vet signs what is there by then."""
    request.refresh_from_db()
    with clock(at):
        review.sign(
            acting_user=opened.users[Role.VET],
            request=request,
            expected_version=request.version,
        )
