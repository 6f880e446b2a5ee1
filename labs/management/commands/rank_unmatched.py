from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.core.management.base import CommandParser

from labs.management import base
from labs.queries.orphaned import automatic, candidates, orphans
from labs.queries.orphaned.refused import refused


class Command(base.LabCommand):
    help = (
        "Say of every result that waits whose it may be, best first, how probable it is that the "
        "animal is not in the records, and what automatic matching would do. Changes nothing."
    )
    many = True

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--clinic", required=True, metavar="ID")

    def run(self, options: dict[str, Any]) -> Iterator[dict[str, Any]]:
        clinic = base.clinic(options["clinic"])
        waiting = orphans.orphans().waiting().filter(clinic=clinic)
        for unmatched in waiting.iterator(chunk_size=500):
            runs = orphans.runs_of(unmatched)
            ranked = candidates.rank(unmatched, runs=runs)
            alone, against = automatic.would_be(unmatched, runs, ranked)
            back = refused(unmatched)
            yield {
                "message_id": unmatched.message_id,
                "nobody": round(ranked.nobody, 6),
                "automatic": alone,
                "against_automatic": list(against),
                "candidates": [
                    {
                        "patient_id": each.patient.patient_id,
                        "probability": round(each.probability, 6),
                        "grade": each.grade,
                        "evidence": each.evidence,
                    }
                    for each in ranked.found
                    if each.patient.pk not in back
                ],
            }

    def text(self, answer: dict[str, Any]) -> str:
        lines = [
            f"{answer['message_id']}: not in the records {answer['nobody']:.0%}"
            + (", would be matched by itself" if answer["automatic"] else "")
        ]
        for each in answer["candidates"]:
            why = each["evidence"]["why"]
            lines.append(
                f"  {each['patient_id']:<12} {each['probability']:>7.1%} {each['grade']}: {why}"
            )
        return "\n".join(lines)
