from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser

from labs import vendors
from labs.management.base import LabCommand
from labs.services.clinics import create_clinic


class Command(LabCommand):
    help = "Make a clinic. Its public id is what the other commands take as --clinic."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--name", required=True)
        parser.add_argument(
            "--timezone", default="UTC", help="such as America/Denver (default: UTC)"
        )
        parser.add_argument(
            "--public-id", default="", help="letters, digits and hyphens; given if left out"
        )

    def run(self, options: dict[str, Any]) -> dict[str, Any]:
        clinic = create_clinic(
            name=options["name"], timezone=options["timezone"], public_id=options["public_id"]
        )
        return {
            "public_id": clinic.public_id,
            "unmatched_url": vendors.default().unmatched_endpoint(clinic),
        }
