from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser

from labs.management import base
from labs.models import Submission
from labs.queries.readings import observations


class Command(base.LabCommand):
    help = "Show how far a request is, and its results as they stand now."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("lab_report_id", metavar="LAB_REPORT_ID")

    def run(self, options: dict[str, Any]) -> dict[str, Any]:
        request = base.request(options["lab_report_id"])
        submission = Submission.objects.filter(request=request).first()
        return {
            "state": request.get_state_display(),
            "tests": [
                {
                    "code": test.panel.code,
                    "name": test.panel.name,
                    "state": test.get_state_display(),
                    "refusal": test.refusal or None,
                }
                for test in request.tests.select_related("panel")
            ],
            "attempts": submission.attempts if submission else 0,
            "last_error": (submission.last_error if submission else "") or None,
            "observations": observations.of_request(request),
        }

    def text(self, answer: dict[str, Any]) -> str:
        lines = [f"{answer['state']}; attempts to send: {answer['attempts']}"]
        if answer["last_error"]:
            lines.append(f"last error: {answer['last_error']}")
        for test in answer["tests"]:
            refusal = f" ({test['refusal']})" if test["refusal"] else ""
            lines.append(f"{test['code']} {test['name']}: {test['state']}{refusal}")
        return "\n".join(lines + [base.result_line(row) for row in answer["observations"]])
