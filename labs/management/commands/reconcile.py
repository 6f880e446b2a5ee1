from __future__ import annotations

from typing import Any

from labs.management import base
from labs.queries.records import journal


class Command(base.LabCommand):
    help = (
        "Check over all clinics that every message received is reached from a result, the "
        "unmatched queue, quarantine, or is still pending. Ends with status 1 where one is not."
    )

    def run(self, options: dict[str, Any]) -> dict[str, Any]:
        return base.law(journal.balance())

    def text(self, answer: dict[str, Any]) -> str:
        return base.law_text(answer)

    def failure(self, answer: dict[str, Any]) -> str:
        if answer["holds"]:
            return ""
        return "The journal and what is reached of it differ. Keep the database as it is and look."
