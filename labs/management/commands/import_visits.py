from __future__ import annotations

from typing import Any

from labs.management.imports import ImportCommand
from labs.services.registry.csv_visits import COLUMNS
from labs.services.registry.imports import import_visits


class Command(ImportCommand):
    help = (
        "Bring in appointments from a CSV file, all or nothing. `at` is a date and time such as "
        "2026-03-02T09:15, in the clinic's time zone unless it names one. Columns: "
        + ", ".join(COLUMNS)
    )
    service = staticmethod(import_visits)

    def text(self, answer: dict[str, Any]) -> str:
        return "{created} visits are new, {updated} changed, {unchanged} are as they were.".format(
            **answer
        )
