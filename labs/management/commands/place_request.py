from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser

from labs import vendors
from labs.management import base
from labs.models import Submission
from labs.services.orders.ordering import place_request


class Command(base.LabCommand):
    help = "Order tests for a patient, as the order form does."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--clinic", required=True, metavar="ID")
        parser.add_argument("--patient", required=True, metavar="PATIENT_ID")
        parser.add_argument(
            "--test",
            required=True,
            nargs="+",
            action="extend",
            metavar="CODE",
            help="one or several, such as HHEM-1 HDC-3",
        )
        parser.add_argument("--doctor", default="")

    def run(self, options: dict[str, Any]) -> dict[str, Any]:
        clinic = base.clinic(options["clinic"])
        request = place_request(
            acting_user=None,
            patient=base.patient(clinic, options["patient"]),
            panels=base.panels(options["test"]),
            doctor=options["doctor"],
        )
        vendor = vendors.get(Submission.objects.get(request=request).vendor)
        return {
            "lab_report_id": request.lab_report_id,
            "result_endpoint": vendor.result_endpoint(request),
            "state": request.get_state_display(),
        }
