from __future__ import annotations

from typing import Any

from labs.management import base
from labs.services.intake import journal
from labs.services.orders import sweeping


class Command(base.LabCommand):
    help = (
        "Do now what the scheduler does every 30 s: wake a worker for each order that is due, and "
        "file what was stored but not filed."
    )

    def run(self, options: dict[str, Any]) -> dict[str, Any]:
        return {"woken": sweeping.sweep(hurry=True), "refiled": journal.sweep()}

    def text(self, answer: dict[str, Any]) -> str:
        return "{woken} orders are due, {refiled} stored messages were taken up.".format(**answer)
