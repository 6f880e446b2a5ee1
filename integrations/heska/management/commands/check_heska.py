from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser

from integrations.heska import credentials, reach
from labs.management import base


class Command(base.LabCommand):
    help = (
        "Ask Heska for a token with a clinic's credentials, once with each subscription key, and "
        "see whether our own public address answers. Sends no order. Ends with status 1 where "
        "Heska gives no token or the address can't be reached."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--clinic", required=True, metavar="ID")

    def run(self, options: dict[str, Any]) -> dict[str, Any]:
        clinic = base.clinic(options["clinic"])
        asked = credentials.test(acting_user=None, clinic=clinic)
        found = reach.look(acting_user=None, clinic=clinic)
        return {
            "token": [
                {
                    "key": each.key,
                    "ok": each.ok,
                    "said": each.said,
                    "words": each.words,
                    "milliseconds": each.milliseconds,
                }
                for each in asked
            ],
            "public_address": {
                "url": found.url,
                "ok": found.ok,
                "problems": list(found.problems),
                "addresses": list(found.addresses),
            },
        }

    def text(self, answer: dict[str, Any]) -> str:
        lines = []
        for each in answer["token"]:
            key = f"With {each['key']}: " if each["key"] else ""
            words = f" It says: “{each['words']}”" if each["words"] else ""
            lines.append(f"{key}{each['said']}{words} ({each['milliseconds']} ms)")
        address = answer["public_address"]
        said = " ".join(address["problems"]) or "this installation answers there."
        return "\n".join([*lines, f"{address['url']}: {said}"])

    def failure(self, answer: dict[str, Any]) -> str:
        if not any(each["ok"] for each in answer["token"]):
            return "Heska gives no token."
        if not answer["public_address"]["ok"]:
            return "The public address can't be reached."
        return ""
