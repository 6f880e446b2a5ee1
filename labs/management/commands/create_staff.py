from __future__ import annotations

import sys
from typing import Any

from django.core.management.base import CommandParser

from labs.management import base
from labs.models import Role
from labs.services.people.staff import create_staff


class Command(base.LabCommand):
    help = "Make a login for somebody who works at a clinic. An admin may also enter /admin/."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--clinic", required=True, metavar="ID")
        parser.add_argument("--username", required=True)
        parser.add_argument("--role", required=True, choices=Role.values)
        parser.add_argument(
            "--password-stdin",
            action="store_true",
            required=True,
            help="read the password from standard input, its line end apart",
        )

    def run(self, options: dict[str, Any]) -> dict[str, Any]:
        clinic = base.clinic(options["clinic"])
        user = create_staff(
            clinic=clinic,
            username=options["username"],
            role=options["role"],
            password=sys.stdin.read().rstrip("\r\n"),
        )
        return {"username": user.username, "role": options["role"], "clinic": clinic.public_id}
