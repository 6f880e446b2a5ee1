"""What the management commands share: JSON for programs, sentences for people, and a
plain word instead of a traceback where something is missing."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any

from django.contrib.auth.models import User
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.db.models import Q
from django.db.utils import InterfaceError, OperationalError

from labs.errors import LabError
from labs.models import Clinic, LabRequest, Panel, Patient, UnmatchedResult
from labs.queries.records.journal import Balance

UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class Error(CommandError):
    """Ends the command with status 1, its words on stderr after the class's name."""


class LabCommand(BaseCommand):
    """A command that answers `run` with one object, or, where `many`, with one object a line."""

    many = False
    # Each is a fresh process in somebody's script; `manage.py check` is the place for checks.
    requires_system_checks: list[str] = []

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        parser = super().create_parser(prog_name, subcommand, **kwargs)
        form = "one JSON object a line" if self.many else "one JSON object"
        parser.add_argument("--json", action="store_true", help=f"print {form}")
        return parser

    def run(self, options: dict[str, Any]) -> Any:
        """The answer as plain data: a dict, or dicts where `many`. Raises LabError or Error."""
        raise NotImplementedError

    def text(self, answer: dict[str, Any]) -> str:
        """One object of the answer, for people."""
        return "\n".join(f"{key}: {said(value)}" for key, value in answer.items())

    def failure(self, answer: Any) -> str:
        """What is wrong although the command could answer; it then ends with status 1."""
        return ""

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            require_migrated()
            take_your_time()
            answer = self.run(options)
            answers: Iterable[dict[str, Any]] = answer if self.many else [answer]
            for each in answers:
                if options["json"]:
                    self.stdout.write(json.dumps(each, ensure_ascii=False))
                elif options["verbosity"]:
                    self.stdout.write(self.text(each))
            if failed := self.failure(answer):
                raise Error(failed)
        except LabError as error:
            raise Error(error.message) from error
        except (OperationalError, InterfaceError) as error:
            reason = str(error).strip().splitlines()[0]
            raise Error(f"The database does not answer: {reason}") from error


def said(value: Any) -> str:
    return "-" if value is None or value == "" else str(value)


def take_your_time() -> None:
    """The limit of 5 s on a statement is for those who wait at the web server."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SET statement_timeout = 0")


def require_migrated() -> None:
    """Raises Error where the database has not the tables that this version needs."""
    executor = MigrationExecutor(connection)
    if executor.migration_plan(executor.loader.graph.leaf_nodes()):
        raise Error(
            "The database is not set up for this version yet. "
            "Run `python manage.py migrate`, then this command again."
        )


def clinic(public_id: str) -> Clinic:
    found: Clinic | None = Clinic.objects.filter(public_id=public_id).first()
    if found is None:
        raise Error(
            f"There is no clinic “{public_id}”. `create_clinic` makes one; its --public-id is what "
            "the other commands take."
        )
    return found


def patient(clinic: Clinic, patient_id: str) -> Patient:
    found: Patient | None = (
        Patient.objects.filter(clinic=clinic, patient_id=patient_id)
        .select_related("clinic", "owner", "merged_into__clinic", "merged_into__owner")
        .first()
    )
    if found is None:
        raise Error(
            f"{clinic} has no patient with the id “{patient_id}”. `import_patients` brings them in."
        )
    return found.now


def staff(clinic: Clinic, username: str) -> User:
    found = User.objects.filter(username=username, membership__clinic=clinic).first()
    if found is None:
        raise Error(f"Nobody called “{username}” works at {clinic}. `create_staff` adds a login.")
    return found


def panels(codes: list[str]) -> list[Panel]:
    """In the order asked for, each once."""
    by_code = {panel.code: panel for panel in Panel.objects.all()}
    unknown = [code for code in codes if code not in by_code]
    if unknown:
        raise Error(
            f"There is no test “{unknown[0]}”. The tests are {', '.join(by_code) or 'not loaded'}."
        )
    return [by_code[code] for code in dict.fromkeys(codes)]


def request(lab_report_id: str) -> LabRequest:
    found: LabRequest | None = (
        LabRequest.objects.filter(lab_report_id=lab_report_id)
        .select_related("clinic", "patient")
        .first()
    )
    if found is None:
        raise Error(f"There is no request “{lab_report_id}”.")
    return found


def unmatched(clinic: Clinic, message_id: str) -> UnmatchedResult:
    """By the id that `list_unmatched` prints, or by that of a later message for the same orphan.
    An id that several orphans bear (a sender repeats itself) is refused; their uuids are named."""
    orphans = UnmatchedResult.objects.filter(clinic=clinic).select_related("clinic")
    found: list[UnmatchedResult] = list(orphans.filter(message_id=message_id)) or list(
        orphans.filter(
            Q(messages__message_id=message_id) | Q(messages__sha256=message_id)
        ).distinct()
    )
    if not found and UUID.fullmatch(message_id):
        found = list(orphans.filter(uuid=message_id))
    if not found:
        raise Error(
            f"{clinic} has no unmatched result with the message id “{message_id}”. "
            "`list_unmatched` prints those that wait."
        )
    if len(found) > 1:
        raise Error(
            f"{len(found)} results bear the message id “{message_id}”. Give one of their uuids "
            "instead: " + "; ".join(f"{each.uuid} ({each})" for each in found)
        )
    return found[0]


def result_line(row: dict[str, Any]) -> str:
    """One row of `observations`, for people."""
    value = row["value_text"] or row["not_reported_reason"] or "-"
    flag = row["flag_delivered"] or row["flag_computed"] or ""
    limits = f"({said(row['low'])} to {said(row['high'])})"
    shown = limits if row["low"] is not None or row["high"] is not None else ""
    return f"  {row['code'] or '-':<10} {value} {row['unit'] or ''} {flag} {shown}".rstrip()


def law(balance: Balance) -> dict[str, Any]:
    """The conservation law's two sides, for programs."""
    return {
        "received": balance.received,
        "filed": balance.filed,
        "unmatched": balance.unmatched,
        "quarantined": balance.quarantined,
        "pending": balance.pending,
        "accounted": balance.accounted,
        "holds": balance.holds,
        "lost": list(balance.lost),
    }


def law_text(answer: dict[str, Any]) -> str:
    line = (
        "{received} received = {filed} filed + {unmatched} unmatched + {quarantined} quarantined + "
        "{pending} pending".format(**answer)
    )
    if answer["holds"]:
        return line
    lost = ", ".join(answer["lost"]) or "none is lost, but some are counted twice"
    return f"{line.replace(' = ', ' IS NOT ', 1)}\nNot reached: {lost}"
