from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser
from django.db.models import Q

from labs import vendors
from labs.management import base
from labs.models import Message, MessageState


class Command(base.LabCommand):
    help = (
        "Read stored messages again with today's code: one, or all that are in quarantine. What "
        "was filed already stays as it is."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        which = parser.add_mutually_exclusive_group(required=True)
        which.add_argument("message", nargs="?", metavar="ID", help="receipt id or message id")
        which.add_argument("--quarantined", action="store_true", help="all in quarantine")
        parser.add_argument("--clinic", metavar="ID", help="only of this clinic")

    def run(self, options: dict[str, Any]) -> dict[str, Any]:
        inbound = Message.objects.filter(direction=Message.Direction.IN)
        if options["clinic"]:
            inbound = inbound.filter(clinic=base.clinic(options["clinic"]))
        if options["quarantined"]:
            # A part of an array is read again on its own: its parent holds nothing else.
            found = inbound.filter(state=MessageState.QUARANTINED, parts=None)
        else:
            wanted = options["message"]
            found = inbound.filter(Q(receipt_id=wanted) | Q(message_id=wanted))
            if not found.exists():
                raise base.Error(
                    f"There is no message “{wanted}”. Give a receipt id (rcpt_…) or the sender's "
                    "message id."
                )
        pks = list(found.order_by("pk").values_list("pk", flat=True))
        return {"messages": [self.replay(pk) for pk in pks]}

    def replay(self, pk: int) -> dict[str, Any]:
        message = Message.objects.get(pk=pk)
        before = message.get_state_display()
        vendors.get(message.vendor).refile(pk)
        message.refresh_from_db(fields=["state", "cause"])
        return {
            "receipt_id": message.receipt_id,
            "message_id": message.message_id or None,
            "before": before,
            "state": message.get_state_display(),
            "cause": message.cause or None,
        }

    def text(self, answer: dict[str, Any]) -> str:
        lines = [
            f"{each['receipt_id']}: {each['before']}, now {each['state']}"
            + (f" ({each['cause']})" if each["cause"] else "")
            for each in answer["messages"]
        ]
        return "\n".join(lines) or "Nothing is in quarantine."
