from __future__ import annotations

from datetime import datetime
from typing import Any

from django.core.management.base import CommandParser

from integrations.heska.missing import never_came
from labs.management import base


class Command(base.LabCommand):
    help = (
        "List the tests that Heska took, or may have taken, more than a day ago and that never "
        "came. Names no owner and no patient."
    )
    many = True

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--clinic", required=True, metavar="ID")

    def run(self, options: dict[str, Any]) -> list[dict[str, Any]]:
        return [
            {
                "lab_report_id": row.lab_report_id,
                "external_id": row.external_id,
                "test_request_id": row.test_request_id,
                "test": row.test_code,
                "ordered_at": _time(row.ordered_at),
                "accepted_at": _time(row.accepted_at),
            }
            for row in never_came(base.clinic(options["clinic"]))
        ]

    def text(self, answer: dict[str, Any]) -> str:
        return " | ".join(base.said(value) for value in answer.values())


def _time(at: datetime | None) -> str | None:
    return at.isoformat(timespec="seconds") if at else None
