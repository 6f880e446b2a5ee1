"""`tests.faults.sabotage:application`: the product, broken on purpose in the way that the file
SABOTAGE names at that moment. What is proven by tests that cannot fail is worth nothing."""

from __future__ import annotations

import json
import os
import threading
import time
from pathlib import Path
from typing import Any

from pims.wsgi import application  # sets Django up, so it comes first

# isort: split
from rest_framework.response import Response

from integrations.heska import views
from labs import quick
from labs.ids import receipt_id
from labs.models import Clinic, Message, Patient
from labs.querysets import ClinicQuerySet
from labs.services.intake import journal, versions

__all__ = ["application"]

receive, file, key_of = journal.receive, views.IntakeView.file, versions.key_of
insert_unless_there = quick.insert_unless_there
for_user = ClinicQuerySet.for_user


def active(name: str) -> bool:
    try:
        return Path(os.environ["SABOTAGE"]).read_text() == name
    except FileNotFoundError:
        return False


def broken_receive(**given: Any) -> tuple[Message, bool]:
    if active("acknowledge before commit"):
        threading.Timer(1, receive, kwargs=given).start()
        return Message(receipt_id=receipt_id(), state="acknowledged"), True
    if active("clinic from the payload"):
        claimed = json.loads(given["raw"])["ClinicId"]
        given["clinic"] = Clinic.objects.get(public_id=claimed)
    if active("look, then insert"):
        key = journal.dedupe_key(
            given["vendor"], given["clinic"], given["target"], given["raw"], given["declared_size"]
        )
        if known := Message.objects.filter(dedupe_key=key).first():
            return known, False
        time.sleep(0.05)
    return receive(**given)


def broken_insert(instance: Any, *, unique: str) -> bool:
    """Without asking the unique index: as it stands, one that is dropped makes PostgreSQL refuse
    the statement, and nothing is stored twice even then."""
    if active("look, then insert") or active("no unique index"):
        quick.insert(instance)
        return True
    return insert_unless_there(instance, unique=unique)


def broken_file(self: views.IntakeView, message: Message, **given: bool) -> Response:
    if message.state == "acknowledged":
        return Response({"ReceiptId": message.receipt_id, "Status": "Stored"}, status=201)
    return file(self, message, **given)


def broken_key_of(version: Any) -> Any:
    return (version.pk,) if active("arrival decides") else key_of(version)


def broken_for_user(self: ClinicQuerySet, user: Any) -> ClinicQuerySet:
    if active("no for_user") or (active("no for_user of patients") and self.model is Patient):
        return self.all()
    return for_user(self, user)


ClinicQuerySet.for_user = broken_for_user  # type: ignore[method-assign, assignment]
journal.receive = broken_receive
quick.insert_unless_there = broken_insert
views.IntakeView.file = broken_file  # type: ignore[method-assign]
versions.key_of = broken_key_of
