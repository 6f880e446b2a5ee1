from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser

from labs.management import base
from labs.queries.orphaned import orphans
from labs.queries.orphaned.candidates import beside, candidates_for
from labs.services.orphaned.matching import match


class Command(base.LabCommand):
    help = (
        "Put an unmatched result on a patient's record, and keep what speaks for it and against. "
        "One that was sent for a request of this very patient goes onto it; any other onto the "
        "open request that waits for its tests, as on the screen, or onto one made for it."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("message_id", metavar="MESSAGE_ID")
        parser.add_argument("--clinic", required=True, metavar="ID")
        parser.add_argument("--patient", required=True, metavar="PATIENT_ID")
        parser.add_argument("--as", required=True, metavar="USERNAME", help="who decides it")
        parser.add_argument("--reason", default="")

    def run(self, options: dict[str, Any]) -> dict[str, Any]:
        clinic = base.clinic(options["clinic"])
        unmatched = base.unmatched(clinic, options["message_id"])
        patient = base.patient(clinic, options["patient"])
        sent_for = unmatched.suggested_request
        if sent_for and (sent_for.patient_id != patient.pk or sent_for.cancelled_at):
            sent_for = None
        found = candidates_for(unmatched, runs=orphans.runs_of(unmatched), chosen=patient.uuid)
        candidate = next((each for each in found if each.patient == patient), None)
        waiting = [target.request for target in candidate.targets] if candidate else []
        # What contradicts it is kept too: a second person then checks it.
        evidence = candidate.evidence if candidate else {}
        others = [each for each in found if each.patient != patient]
        request = match(
            acting_user=base.staff(clinic, options["as"]),
            unmatched=unmatched,
            patient=patient,
            request=sent_for or next(iter(waiting), None),
            expected_version=unmatched.version,
            reason=options["reason"],
            evidence={**evidence, "found_by": "command", "others": beside(others)},
        )
        return {
            "message_id": unmatched.message_id,
            "state": unmatched.get_state_display(),
            "patient_id": patient.patient_id,
            "lab_report_id": request.lab_report_id,
        }
