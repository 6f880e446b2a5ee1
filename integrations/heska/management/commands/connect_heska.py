from __future__ import annotations

import sys
from dataclasses import asdict
from typing import Any

from django.core.management.base import CommandParser

from integrations.heska.conf import VENDOR
from integrations.heska.connections import connect
from labs import vendors
from labs.management import base


class Command(base.LabCommand):
    help = (
        "Connect a clinic to Heska: stores the credentials that Heska gave, and prints, this once, "
        "what Heska is to be given. Run again with new credentials to rotate them."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--clinic", required=True, metavar="ID")
        parser.add_argument("--client-id", required=True, metavar="C")
        parser.add_argument(
            "--client-secret-stdin",
            action="store_true",
            required=True,
            help="read Heska's client secret from standard input",
        )

    def run(self, options: dict[str, Any]) -> dict[str, Any]:
        clinic = base.clinic(options["clinic"])
        access = connect(
            acting_user=None,
            clinic=clinic,
            client_id=options["client_id"],
            client_secret=sys.stdin.read(),
        )
        said = asdict(access)
        return {
            "token_url": said.pop("token_url"),
            "unmatched_url": vendors.get(VENDOR).unmatched_endpoint(clinic),
            **said,
        }
