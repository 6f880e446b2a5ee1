from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser

from labs.management import base
from labs.services.orphaned.matching import unmatch


class Command(base.LabCommand):
    help = "Take a match back: the result leaves the patient's record and waits in the queue again."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("message_id", metavar="MESSAGE_ID")
        parser.add_argument("--clinic", required=True, metavar="ID")
        parser.add_argument(
            "--patient", metavar="PATIENT_ID", help="refuse if it is matched to another patient"
        )
        parser.add_argument("--as", required=True, metavar="USERNAME", help="who decides it")
        parser.add_argument("--reason", default="Taken back by a command, no reason given")

    def run(self, options: dict[str, Any]) -> dict[str, Any]:
        clinic = base.clinic(options["clinic"])
        unmatched = base.unmatched(clinic, options["message_id"])
        if options["patient"]:
            standing = unmatched.decisions.filter(active=True).select_related("patient").first()
            if standing and standing.patient != base.patient(clinic, options["patient"]):
                raise base.Error(f"It is matched to {standing.patient}; nothing was changed.")
        unmatch(
            acting_user=base.staff(clinic, options["as"]),
            unmatched=unmatched,
            expected_version=unmatched.version,
            reason=options["reason"],
        )
        return {"message_id": unmatched.message_id, "state": unmatched.get_state_display()}
