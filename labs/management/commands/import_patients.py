from __future__ import annotations

from typing import Any

from labs.management.imports import ImportCommand
from labs.services.registry.csv_patients import COLUMNS
from labs.services.registry.imports import import_patients


class Command(ImportCommand):
    help = (
        "Bring in patients and owners from a CSV file, all or nothing. A patient or owner whose id "
        "is known is updated; an empty cell leaves what is there. Columns: " + ", ".join(COLUMNS)
    )
    service = staticmethod(import_patients)

    def text(self, answer: dict[str, Any]) -> str:
        lines = [
            "{created} patients are new, {updated} changed, {unchanged} are as they were.".format(
                **answer
            )
        ]
        lines += [
            f"line {given['line']}: given the id {given['patient_id']}" for given in answer["given"]
        ]
        return "\n".join(lines)
