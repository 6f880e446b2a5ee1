from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from labs.models import Clinic, Message
from labs.services.intake import journal
from labs.services.orphaned import matching
from tests import factories

SignIn = Callable[[User], Client]


def test_what_came_in_and_what_became_of_it(clinic: Clinic, ada: User, signed_in: SignIn) -> None:
    request = factories.make_request(factories.make_patient(clinic), accepted=True)
    factories.make_result(request, factories.make_report(extra={"/Odd/Leaf": "kept"}))
    factories.make_unmatched(clinic)
    broken = factories.make_message(clinic, raw=b'{"Status": "Fin')
    journal.quarantine(message=broken, cause="This is no JSON.")
    client = signed_in(ada)
    page = client.get(reverse("labs:messages")).content.decode()
    assert request.lab_report_id in page and "unmatched result" in page
    assert "This is no JSON." in page
    only = client.get(reverse("labs:messages"), {"state": "quarantined"}).content.decode()
    assert broken.receipt_id in only and request.lab_report_id not in only
    filed = Message.objects.get(request=request)
    one = client.get(reverse("labs:message", args=[filed.receipt_id])).content.decode()
    assert "/Odd/Leaf" in one and "kept" in one


def test_quarantine_is_shown_whatever_its_day(clinic: Clinic, ada: User, signed_in: SignIn) -> None:
    old = factories.make_message(clinic, received_at=timezone.now() - timedelta(days=9))
    journal.quarantine(message=old, cause="This is no JSON.")
    client = signed_in(ada)
    assert old.receipt_id not in client.get(reverse("labs:messages")).content.decode()
    page = client.get(reverse("labs:messages"), {"state": "quarantined"}).content.decode()
    assert old.receipt_id in page


def test_the_body_is_text_on_the_page_and_bytes_in_the_download(
    clinic: Clinic, ada: User, signed_in: SignIn
) -> None:
    raw = b"<script>alert(1)</script>\xff" + b"x" * 70_000
    message = factories.make_message(clinic, raw=raw)
    client = signed_in(ada)
    page = client.get(reverse("labs:message", args=[message.receipt_id])).content.decode()
    assert "&lt;script&gt;" in page and "<script>alert" not in page
    assert "Only the beginning is shown" in page
    body = client.get(reverse("labs:message_body", args=[message.receipt_id]))
    assert body.content == raw
    assert body["Content-Disposition"].startswith("attachment")
    assert body["Content-Type"] == "application/octet-stream"


def test_the_key_of_a_request_is_not_shown(clinic: Clinic, ada: User, signed_in: SignIn) -> None:
    message = factories.make_message(clinic)
    Message.objects.filter(pk=message.pk).update(target="/api/labresults/k9d2c7e1f0a84bX5mQ2rTz")
    page = signed_in(ada).get(reverse("labs:message", args=[message.receipt_id])).content.decode()
    assert "/api/labresults/k9d2…" in page and "mQ2rTz" not in page


def test_of_several_messages_in_one_each_is_found(
    clinic: Clinic, ada: User, signed_in: SignIn
) -> None:
    """An array stood in quarantine without a word on why, and led nowhere."""
    array = factories.make_message(clinic, raw=b"[1,2]")
    first, second = journal.split(message=array, parts=[b"1", b"2"])
    journal.quarantine(message=second, cause="This is no message.")
    Message.objects.filter(pk=array.pk).update(state="quarantined")
    client = signed_in(ada)
    rows = client.get(reverse("labs:messages")).content.decode()
    assert "2 messages in one" in rows and rows.count(f"/{array.receipt_id}/") == 4
    Message.objects.filter(parent=array).update(state="quarantined")
    shown = client.get(reverse("labs:messages"), {"state": "quarantined"}).content.decode()
    assert 'title="2 in quarantine"' in shown and 'Quarantined <b class="count">2</b>' in shown
    page = client.get(reverse("labs:message", args=[array.receipt_id])).content.decode()
    assert first.receipt_id in page and second.receipt_id in page and "This is no message." in page
    part = client.get(reverse("labs:message", args=[second.receipt_id])).content.decode()
    assert array.receipt_id in part and first.receipt_id not in part


def test_what_people_decided_of_an_unmatched_result_is_what_became_of_it(
    clinic: Clinic, ada: User, signed_in: SignIn
) -> None:
    orphan = factories.make_unmatched(clinic)
    client = signed_in(ada)
    assert "waits for a person" in client.get(reverse("labs:messages")).content.decode()
    matching.dismiss(
        acting_user=ada, unmatched=orphan, expected_version=orphan.version, reason="Control"
    )
    page = client.get(reverse("labs:messages")).content.decode()
    assert "dismissed since" in page and "waits for a person" not in page
