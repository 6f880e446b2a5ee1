from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, time
from typing import Any

from django.core.management.base import CommandParser
from django.db.models import Q, QuerySet
from django.utils import timezone

from labs.management import base
from labs.models import Message
from labs.services.intake import replaying, rereading


class Command(base.LabCommand):
    help = (
        "Read stored messages again with today's code. Without an option: file what is in "
        "quarantine or was never filed, and leave what is filed as it is. --compare lists what "
        "is filed and would be read differently today; --apply puts that in place, as another "
        "reading beside the one before. Where a result is filed never changes. Can be "
        "interrupted and started again at any time."
    )
    many = True

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("message", nargs="?", metavar="ID", help="receipt id or message id")
        parser.add_argument("--quarantined", action="store_true", help="all in quarantine")
        how = parser.add_mutually_exclusive_group()
        how.add_argument(
            "--compare", action="store_true", help="what is filed and would be read differently"
        )
        how.add_argument(
            "--apply",
            action="store_true",
            help="store that, but for what contradicts its request: give such a message's ID",
        )
        parser.add_argument("--clinic", metavar="ID", help="only of this clinic")
        parser.add_argument(
            "--since", metavar="DATE", type=_day, help="only what came since, 2026-03-02"
        )

    def run(self, options: dict[str, Any]) -> Iterator[dict[str, Any]]:
        self.failed = 0
        again = options["compare"] or options["apply"]
        if options["quarantined"] and (again or options["message"]):
            raise base.Error("--quarantined stands alone: nothing in quarantine is filed yet.")
        if not (again or options["quarantined"] or options["message"]):
            raise base.Error("Say what to read: a message's ID, --quarantined, or --compare.")
        found = self.selected(options)
        if options["quarantined"]:
            found = replaying.quarantined(found)
        elif again:
            found = rereading.filed(found)
        step = (
            self.apply if options["apply"] else self.compare if options["compare"] else self.replay
        )
        for pk in rereading.each(found):
            if (answer := step(pk, named=bool(options["message"]))) is not None:
                yield answer

    def selected(self, options: dict[str, Any]) -> QuerySet[Message]:
        inbound = Message.objects.filter(direction=Message.Direction.IN)
        if options["clinic"]:
            inbound = inbound.filter(clinic=base.clinic(options["clinic"]))
        if options["since"]:
            inbound = inbound.filter(received_at__gte=options["since"])
        wanted = options["message"]
        if wanted is None:
            return inbound
        inbound = inbound.filter(Q(receipt_id=wanted) | Q(message_id=wanted))
        if not inbound.exists():
            raise base.Error(
                f"There is no message “{wanted}”. Give a receipt id (rcpt_…) or the sender's "
                "message id."
            )
        return inbound

    def replay(self, pk: int, *, named: bool) -> dict[str, Any]:
        replayed = replaying.replay(pk)
        return {
            "receipt_id": replayed.receipt_id,
            "message_id": replayed.message_id or None,
            "before": replayed.before.label,
            "state": replayed.after.label,
            "cause": replayed.cause or None,
        }

    def compare(self, pk: int, *, named: bool) -> dict[str, Any] | None:
        difference = rereading.compare(pk)
        return difference.as_json() if difference else None

    def apply(self, pk: int, *, named: bool) -> dict[str, Any] | None:
        difference, applied = rereading.apply(pk, although=named)
        if difference is None:
            return None
        self.failed += not applied
        return {**difference.as_json(), "applied": applied}

    def text(self, answer: dict[str, Any]) -> str:
        if "before" in answer:
            cause = f" ({answer['cause']})" if answer["cause"] else ""
            return f"{answer['receipt_id']}: {answer['before']}, now {answer['state']}{cause}"
        return "\n".join(_lines(answer))

    def failure(self, answer: Any) -> str:
        if not self.failed:
            return ""
        return (
            f"{self.failed} messages were left as they are: they cannot be read today, or "
            "contradict the request that they are filed on. Look at each; "
            "`replay ID --apply` applies one all the same."
        )


def _day(text: str) -> datetime:
    return datetime.combine(date.fromisoformat(text), time.min, timezone.get_current_timezone())


def _lines(answer: dict[str, Any]) -> Iterator[str]:
    where = answer["lab_report_id"] or f"unmatched result {answer['unmatched']}"
    applied = {True: ", applied", False: ", not applied", None: ""}[answer.get("applied")]
    yield f"{answer['receipt_id']} ({where}){applied}:"
    if answer["unreadable"]:
        yield f"  cannot be read today: {answer['unreadable']}"
    for sentence in answer["contradicts"]:
        yield f"  contradicts the request: {sentence}"
    yield from _fields("", answer["fields"])
    for run in answer["runs"]:
        if run["change"] != "differs":
            yield f"  {run['test']} {run['change']}"
        for file in run["files"]:
            yield f"  {run['test']}, file {file['file_name'] or file['sha256']} {file['change']}"
        yield from _fields(run["test"], [*run["about"], *run["fields"]])
        for row in run["rows"]:
            name = f"{run['test']}, {row['code']}"
            if row["change"] != "differs":
                yield f"  {name} {row['change']}"
            else:
                yield from _fields(name, row["fields"])
    for file in answer["files"]:
        yield f"  file {file['file_name'] or file['sha256']} {file['change']}"


def _fields(name: str, fields: list[dict[str, Any]]) -> Iterator[str]:
    for each in fields:
        words = f"{name}, {each['field']}" if name else each["field"]
        yield f"  {words}: {base.said(each['stored'])}, today {base.said(each['read'])}"
