from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.core.management.base import CommandParser

from labs.management import base
from labs.models import UnmatchedResult
from labs.queries.readings import observations


class Command(base.LabCommand):
    help = "List the results that wait for somebody to say whose they are, the oldest first."
    many = True

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--clinic", required=True, metavar="ID")
        parser.add_argument(
            "--all", action="store_true", help="also those that are matched or dismissed"
        )

    def run(self, options: dict[str, Any]) -> Iterator[dict[str, Any]]:
        orphans = UnmatchedResult.objects.filter(clinic=base.clinic(options["clinic"]))
        listed = list(orphans if options["all"] else orphans.waiting())
        measured = observations.of_unmatched(listed)
        for orphan in listed:
            yield {
                "message_id": orphan.message_id,
                "external_id": orphan.external_id or None,
                "state": orphan.get_state_display(),
                "reason": orphan.reason,
                "typed": orphan.typed,
                "observations": measured.get(orphan.pk, []),
            }

    def text(self, answer: dict[str, Any]) -> str:
        typed = answer["typed"]
        words = [typed.get(key) for key in ("patient_name", "patient_id", "owner_last_name")]
        head = ", ".join(word.strip() for word in words if word and word.strip())
        lines = [
            f"{answer['message_id']}: {head or 'nothing typed'}; {answer['state']}, "
            f"{answer['reason'].replace('_', ' ')}"
        ]
        return "\n".join(lines + [base.result_line(row) for row in answer["observations"]])
