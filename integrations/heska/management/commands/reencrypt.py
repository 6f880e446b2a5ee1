from __future__ import annotations

from dataclasses import asdict
from typing import Any

from integrations.heska.rotation import reencrypt
from labs.management import base


class Command(base.LabCommand):
    help = (
        "Put every stored secret under the first of FIELD_ENCRYPTION_KEYS, so that the others may "
        "be taken out. Safe to repeat, and while the application runs."
    )

    def run(self, options: dict[str, Any]) -> dict[str, Any]:
        return asdict(reencrypt())

    def failure(self, answer: Any) -> str:
        whose = ", ".join(answer["unreadable"])
        return whose and (
            f"None of the keys opens the secrets of {whose}. Keep every key that you have; or "
            "enter a clinic's secret anew on the page of its connection, and let a person set "
            "their PIN and second factor anew (`reset_second_factor`)."
        )
