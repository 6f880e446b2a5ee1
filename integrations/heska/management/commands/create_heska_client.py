from __future__ import annotations

from dataclasses import asdict
from typing import Any

from django.core.management.base import CommandParser

from integrations.heska.connections import create_client
from labs.management import base


class Command(base.LabCommand):
    help = (
        "Make an OAuth client with which Heska may post results for every clinic; the address of "
        "each post says for which. Its secret is printed this once."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--vendor-wide", action="store_true", required=True)

    def run(self, options: dict[str, Any]) -> dict[str, Any]:
        return asdict(create_client(acting_user=None, clinic=None))
