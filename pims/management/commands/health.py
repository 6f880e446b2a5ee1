from __future__ import annotations

import shutil
from datetime import datetime
from typing import Any

from django.conf import settings
from django.core.management.base import CommandParser
from django.db import Error as DatabaseError

from integrations.heska.health import Health, Way, health
from labs.management import base
from labs.models import Clinic
from pims.health import commit_a_row

DISK_FREE = 15  # percent; below it there is time left to act


class Command(base.LabCommand):
    help = (
        "Say whether all is well, for a monitoring system: can a row be committed, is there room "
        "on the disk of VAR_DIR, and how does it go between each clinic and Heska. Calls nobody. "
        "Ends with status 1 where somebody should look."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--clinic", metavar="ID", help="of this clinic alone")

    def run(self, options: dict[str, Any]) -> dict[str, Any]:
        chosen = options["clinic"]
        clinics = [base.clinic(chosen)] if chosen else Clinic.objects.order_by("pk")
        usage = shutil.disk_usage(settings.VAR_DIR)
        free = round(100 * usage.free / usage.total)
        commits = _commits()
        found = [_clinic(health(clinic)) for clinic in clinics]
        alarms = [f"No row can be committed. {commits}"] if commits else []
        if free < DISK_FREE:
            alarms.append(f"{free} % of the disk of VAR_DIR is free.")
        alarms += [
            f"{each['clinic']}: {trouble['says']}"
            for each in found
            for trouble in each["troubles"]
            if trouble["alarm"]
        ]
        return {
            "well": not alarms,
            "alarms": alarms,
            "commits": not commits,
            "disk_free_percent": free,
            "clinics": found,
        }

    def text(self, answer: dict[str, Any]) -> str:
        lines = [f"Disk of VAR_DIR: {answer['disk_free_percent']} % free"]
        for clinic in answer["clinics"]:
            lines.append(f"{clinic['clinic']}: {clinic['queue']['waiting']} in the queue")
            lines += [f"  {each['code']}: {each['says']}" for each in clinic["troubles"]]
        return "\n".join(lines)

    def failure(self, answer: dict[str, Any]) -> str:
        return "\n".join(answer["alarms"])


def _commits() -> str:
    """Empty, or why not."""
    try:
        commit_a_row()
    except DatabaseError as error:
        return str(error).strip().partition("\n")[0]
    return ""


def _clinic(found: Health) -> dict[str, Any]:
    queue, intake = found.queue, found.intake
    return {
        "clinic": found.clinic.public_id,
        "troubles": [
            {"code": each.code, "says": each.says, "alarm": each.alarm} for each in found.troubles
        ],
        "ways": {name: _way(way) for name, way in found.ways.items()},
        "queue": {
            "waiting": queue.waiting,
            "held": queue.held,
            "stuck": queue.stuck,
            "oldest_due": _time(queue.oldest_due),
        },
        "received_at": _time(intake.received_at),
        "quarantined": intake.quarantined,
        "oldest_orphan": _time(intake.oldest_orphan),
        "never_came": len(found.missing),
    }


def _way(way: Way) -> dict[str, Any]:
    return {
        "fails": way.fails,
        "good_at": _time(way.good_at),
        "bad_at": _time(way.bad_at),
        "why": way.why,
        "words": way.words,
    }


def _time(at: datetime | None) -> str | None:
    return at.isoformat(timespec="seconds") if at else None
