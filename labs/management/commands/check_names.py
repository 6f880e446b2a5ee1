from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.core.management.base import CommandParser

from labs.management import base
from labs.models import Clinic
from labs.queries.orphaned import vocabulary
from labs.services.orphaned.vocabulary import rebuild


class Command(base.LabCommand):
    help = (
        "Check that the names which unmatched results are compared with are those of the records. "
        "Ends with status 1 where one is not; --rebuild counts them anew."
    )
    many = True
    wrong = 0

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--clinic", metavar="ID", help="without it: all")
        parser.add_argument("--rebuild", action="store_true", help="count them anew first")

    def run(self, options: dict[str, Any]) -> Iterator[dict[str, Any]]:
        named = options["clinic"]
        for clinic in [base.clinic(named)] if named else Clinic.objects.all():
            if options["rebuild"]:
                rebuild(clinic)
            found = vocabulary.differences(clinic)
            self.wrong += len(found)
            yield {"clinic": clinic.public_id, "in_step": not found, "differences": found}

    def text(self, answer: dict[str, Any]) -> str:
        head = "all in step" if answer["in_step"] else "not in step"
        return "\n".join([f"{answer['clinic']}: {head}", *answer["differences"][:100]])

    def failure(self, answer: Any) -> str:
        return "Names are not in step. `check_names --rebuild` counts them anew." * bool(self.wrong)
