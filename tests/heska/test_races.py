"""Two that take up the same message at the same moment."""

from __future__ import annotations

import pytest

from integrations.heska.services import filing
from labs.models import LabResult, Message
from labs.querysets import MessageQuerySet
from labs.services.intake import journal
from tests.factories import VENDOR, make_request
from tests.faults import bodies

pytestmark = pytest.mark.django_db


def test_a_sweep_does_not_reopen_what_its_sender_had_filed_meanwhile(monkeypatch):
    request = make_request(accepted=True)
    clinic = {"public_id": "any", "patient": {"Name": request.patient.name}}
    message, _ = journal.receive(
        vendor=VENDOR,
        clinic=request.clinic,
        sender="tests",
        target=f"/api/labresults/{request.result_key}",
        headers={},
        raw=bodies.result(clinic, {"lab_report_id": request.lab_report_id}, "run"),
    )
    look = MessageQuerySet.get

    def filed_after_the_look(self, *args, **kwargs):
        found = look(self, *args, **kwargs)
        monkeypatch.setattr(MessageQuerySet, "get", look)
        filing.file_stored(Message.objects.get(pk=message.pk))
        return found

    monkeypatch.setattr(MessageQuerySet, "get", filed_after_the_look)
    filing.replay(message.pk)

    message.refresh_from_db()
    assert message.state == "filed"
    assert LabResult.objects.count() == 1
