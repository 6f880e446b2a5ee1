"""“Ana is looking at this”: a hint on a colleague's open page, on which nothing depends."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.contrib.auth.models import User
from django.db import OperationalError
from django.test import Client
from django.utils import timezone

from labs.models import Clinic, Looking, UnmatchedResult
from labs.services.orphaned import matching
from tests import factories

pytestmark = pytest.mark.django_db
SignIn = Callable[[User], Client]
HTMX = {"HX-Request": "true"}


@pytest.fixture
def orphan(clinic: Clinic) -> UnmatchedResult:
    return factories.make_unmatched(clinic)


def ask(client: Client, orphan: UnmatchedResult, **given: str) -> Any:
    """What an open page asks every few seconds."""
    query = {"v": str(orphan.version), "here": "", **given}
    return client.get(f"/unmatched/{orphan.uuid}/changed/", query, headers=HTMX)


def test_a_colleague_who_does_something_there_is_named_for_a_minute(
    alice: User, bob: User, signed_in: SignIn, orphan: UnmatchedResult
) -> None:
    ana, ben = signed_in(alice), signed_in(bob)
    now = timezone.now()
    with time_machine.travel(now, tick=False):
        assert ask(ben, orphan, active="1").status_code == 204
        answer = ask(ana, orphan)
        assert answer.status_code == 200 and "Bob is looking at this" in answer.content.decode()
        here = re.search(r"here=(\d+)", answer.content.decode())
        assert here is not None
        assert ask(ana, orphan, here=here[1]).status_code == 204, "told once"
        assert ask(ben, orphan).status_code == 204, "of oneself nothing is said"
    with time_machine.travel(now + timedelta(seconds=59), tick=False):
        # That the page asks is no activity, however often it does.
        assert ask(ben, orphan).status_code == 204
        assert ask(ana, orphan, here=here[1]).status_code == 204
    with time_machine.travel(now + timedelta(seconds=61), tick=False):
        answer = ask(ana, orphan, here=here[1])
        assert answer.status_code == 200 and "looking" not in answer.content.decode()
        ask(ana, orphan, active="1")
        assert Looking.objects.count() == 1, "who has gone is forgotten"


def test_several_are_listed_and_another_result_s_are_not(
    clinic: Clinic, alice: User, bob: User, signed_in: SignIn, orphan: UnmatchedResult
) -> None:
    third = factories.make_staff(clinic=clinic, username="cleo", first_name="Cleo")
    for user in (bob, third):
        ask(signed_in(user), orphan, active="1")
    other = factories.make_unmatched(clinic)
    assert "Bob and Cleo are looking at this" in ask(signed_in(alice), orphan).content.decode()
    assert ask(signed_in(alice), other).status_code == 204


def test_nobody_of_another_clinic_is_there(
    charlie: User, alice: User, signed_in: SignIn, orphan: UnmatchedResult
) -> None:
    assert ask(signed_in(charlie), orphan, active="1").status_code == 404
    assert not Looking.objects.exists()


def test_the_hint_decides_nothing(
    alice: User, bob: User, signed_in: SignIn, orphan: UnmatchedResult
) -> None:
    ask(signed_in(bob), orphan, active="1")
    matching.hold(
        acting_user=alice, unmatched=orphan, expected_version=orphan.version, reason="Mine"
    )
    # What has changed is said rather than who looks.
    assert "Look at it again" in ask(signed_in(alice), orphan, v="1").content.decode()


@pytest.mark.parametrize("broken", ["filter", "bulk_create"])
def test_where_it_cannot_be_kept_it_is_not_shown_and_the_rest_works(
    alice: User,
    bob: User,
    signed_in: SignIn,
    orphan: UnmatchedResult,
    monkeypatch: pytest.MonkeyPatch,
    broken: str,
) -> None:
    def fail(*args: Any, **kwargs: Any) -> Any:
        raise OperationalError("database is locked")

    if broken == "filter":
        ask(signed_in(bob), orphan, active="1")
        monkeypatch.setattr("django.db.models.query.QuerySet._fetch_all", _only_for_looking(fail))
        answer = ask(signed_in(alice), orphan)
    else:
        monkeypatch.setattr(Looking.objects, broken, fail)
        answer = ask(signed_in(alice), orphan, active="1")
    assert answer.status_code == 204
    monkeypatch.undo()
    assert signed_in(alice).get(f"/unmatched/{orphan.uuid}/").status_code == 200


def _only_for_looking(fail: Callable[..., Any]) -> Callable[..., Any]:
    from django.db.models.query import QuerySet

    original = QuerySet._fetch_all

    def fetch(self: Any) -> Any:
        return fail() if self.model is Looking else original(self)

    return fetch
