from __future__ import annotations

from datetime import timedelta
from uuid import uuid4

import pytest
from django.core.management import CommandError
from django.utils import timezone

from labs import vendors
from labs.models import Attachment, LabResult, Message, Observation, Submission
from labs.services.intake import journal
from tests.factories import make_clinic, make_message, make_request, make_result, make_unmatched
from tests.shell import answer, lines, said

pytestmark = pytest.mark.django_db

BALANCED = {
    "received": 0,
    "filed": 0,
    "unmatched": 0,
    "quarantined": 0,
    "pending": 0,
    "accounted": 0,
    "holds": True,
    "lost": [],
}


def one_of_each() -> Message:
    """A filed message, an orphan, one in quarantine and one that is pending; the filed one."""
    filed = make_result()
    clinic = filed.clinic
    assert clinic is not None
    make_unmatched(clinic)
    journal.quarantine(message=make_message(clinic), cause="Not understood.")
    make_message(clinic)
    return filed


def test_journal_counts_both_sides() -> None:
    filed = one_of_each()
    make_result()  # another clinic's
    assert filed.clinic is not None
    assert answer("journal", "--clinic", filed.clinic.public_id) == {
        "states": {"received": 1, "filed": 1, "unmatched": 1, "quarantined": 1},
        "received": 4,
        "filed": 1,
        "unmatched": 1,
        "quarantined": 1,
        "pending": 1,
        "accounted": 4,
        "holds": True,
        "lost": [],
    }
    said_text = said("journal", "--clinic", filed.clinic.public_id)
    assert "4 received = 1 filed + 1 unmatched + 1 quarantined + 1 pending" in said_text


def test_reconcile_is_over_all_clinics() -> None:
    assert answer("reconcile") == BALANCED
    one_of_each()
    make_result()
    assert answer("reconcile")["received"] == 5


def test_reconcile_finds_a_message_whose_result_is_gone() -> None:
    filed = one_of_each()
    Observation.objects.filter(result__message=filed).delete()
    Attachment.objects.filter(message=filed).delete()
    LabResult.objects.filter(message=filed).delete()
    with pytest.raises(CommandError) as caught:
        said("reconcile")
    assert caught.value.returncode == 1
    assert filed.clinic is not None
    told = answer("journal", "--clinic", filed.clinic.public_id)
    assert (told["received"], told["accounted"], told["holds"]) == (4, 3, False)
    assert told["lost"] == [filed.receipt_id]


def test_reconcile_finds_a_message_that_is_in_two_places() -> None:
    filed = one_of_each()
    Message.objects.filter(pk=filed.pk).update(state="quarantined")
    with pytest.raises(CommandError):
        said("reconcile")


def test_an_array_counts_by_its_parts() -> None:
    clinic = make_clinic()
    parent = make_message(clinic, raw=b"[{},{}]")
    for part in journal.split(message=parent, parts=[b"{}", b"{} "]):
        journal.quarantine(message=part, cause="Not understood.")
    balance = answer("journal", "--clinic", clinic.public_id)
    assert (balance["received"], balance["quarantined"], balance["holds"]) == (2, 2, True)


def test_sweep_wakes_what_is_due_and_takes_up_what_was_not_filed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    vendor = vendors.default()
    woken: list[int] = []
    refiled: list[int] = []
    monkeypatch.setattr(vendor, "wake_all", woken.extend)
    monkeypatch.setattr(vendor, "refile", refiled.append)
    request = make_request()
    message = make_message(request.clinic)
    assert answer("sweep") == {"woken": 1, "refiled": 0}
    Message.objects.update(not_before=timezone.now() - timedelta(minutes=1))
    assert answer("sweep") == {"woken": 1, "refiled": 1}
    assert woken == [Submission.objects.get().pk] * 2
    assert refiled == [message.pk]


def test_replay_reads_again_what_is_in_quarantine() -> None:
    clinic, oak = make_clinic(), make_clinic("Oak")
    message = make_message(clinic, raw=b'{"Tests": []}')
    other = make_message(oak, raw=b'{"Tests": [] }')
    for each in (message, other):
        journal.quarantine(message=each, cause="An older version did not understand it.")
    assert lines("replay", "--quarantined", "--clinic", clinic.public_id) == [
        {
            "receipt_id": message.receipt_id,
            "message_id": None,
            "before": "Quarantined",
            "state": "Quarantined",
            "cause": "No “Tests” were found in it.",
        }
    ]
    other.refresh_from_db()
    assert other.cause == "An older version did not understand it."
    assert "now Quarantined" in said("replay", other.receipt_id)


def test_replay_leaves_what_is_filed() -> None:
    filed = make_result()
    told = answer("replay", filed.message_id)
    assert (told["before"], told["state"]) == ("Filed", "Filed")
    assert LabResult.objects.filter(message=filed).count() == 1


def test_replay_of_an_unknown_id() -> None:
    with pytest.raises(CommandError, match="There is no message “nothing”"):
        said("replay", "nothing")


def test_what_cannot_be_looked_at_again_keeps_nothing_else_waiting(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Such as one clinic's credentials, encrypted with a key that is lost."""

    def unreadable() -> None:
        raise ValueError("InvalidToken")

    monkeypatch.setattr(vendors.default(), "look_again", unreadable)
    request = make_request()
    Submission.objects.update(
        state="sending", lease_until=timezone.now() - timedelta(minutes=1), lease=uuid4()
    )
    answer("sweep")
    assert Submission.objects.get(request=request).state == "unknown"
