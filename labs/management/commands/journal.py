from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser

from labs.management import base
from labs.queries.records import journal


class Command(base.LabCommand):
    help = "Count a clinic's messages by state, and what can be reached of them."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--clinic", required=True, metavar="ID")

    def run(self, options: dict[str, Any]) -> dict[str, Any]:
        clinic = base.clinic(options["clinic"])
        return {"states": journal.counts_by_state(clinic)} | base.law(journal.balance(clinic))

    def text(self, answer: dict[str, Any]) -> str:
        states = ", ".join(f"{count} {state}" for state, count in answer["states"].items())
        return f"By state: {states}\n{base.law_text(answer)}"
