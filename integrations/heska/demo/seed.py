"""Fills an installation with the demo clinics, once, and keeps what they are busy with recent."""

from __future__ import annotations

from datetime import datetime

from django.db import connection, transaction
from django.utils import timezone

from integrations.heska.demo import files, orphans, past, today
from integrations.heska.demo.moving import Live, highest, keep_recent, mark
from integrations.heska.demo.practices import ELM, OAK, PRACTICES, new_passwords, open_practice
from labs.errors import InvalidInput
from labs.models import Clinic, LabEvent
from labs.services.events import record
from labs.services.reviews import escalation

SEEDED = "demo.seeded"


def seed() -> bool:
    """Returns whether it filled the clinics now. A second call only renews what was lost of the
    files, follows a changed PUBLIC_BASE_URL, and moves the day's items to today.

    Raises InvalidInput where a clinic with a demo's public id is not the demo's.
    """
    first = not LabEvent.objects.filter(verb=SEEDED).exists()
    if first:
        logins, live = fill(timezone.now())
        files.write_json("logins.json", logins)
        files.write_json("live.json", live)
        (files.folder() / "simulator.json").unlink(missing_ok=True)  # of an earlier database
        escalation.sweep()  # else the first page shows no alarm until the scheduler's first round
    elif files.read("logins.json") is None:
        files.write_json("logins.json", new_passwords())
    files.write_simulator()
    keep_recent()
    return first


def fill(now: datetime) -> tuple[list[dict[str, str]], Live]:
    """All or nothing: whoever stops it in the middle finds an empty database again."""
    taken = Clinic.objects.filter(public_id__in=[each.public_id for each in PRACTICES]).first()
    if taken is not None:
        raise InvalidInput(
            f"There is a clinic {taken.public_id} that is not the demo's. The demo wants a "
            "database of its own; set VAR_DIR to an empty folder."
        )
    with transaction.atomic():
        if connection.vendor == "postgresql":
            with connection.cursor() as cursor:
                cursor.execute("SET LOCAL statement_timeout = 0")
        opened = {each.public_id: open_practice(each) for each in PRACTICES}
        past.play(opened, now)
        elm, oak = opened[ELM.public_id], opened[OAK.public_id]
        day = today.Day(elm, now, first_external_id=82_000)
        orphans.decided(day)
        before = highest()
        orphans.fill(day)
        today.fill(day)
        quiet_day = today.Day(oak, now, first_external_id=90_000)
        past.deliver(quiet_day.order("7706", "HHEM-1 HDC-3", 64), quiet_day.ago(64))
        quiet_day.visit("7704", 38)
        orphans.orphan(
            quiet_day, "HHEM-1", 31, name="COCO", patient_id="7704", owner="Weber", species="Canine"
        )
        for each in opened.values():
            record(SEEDED, clinic=each.clinic, source="command")
        logins = [login for each in opened.values() for login in each.logins]
        return logins, mark(before, now)
