"""Fifty people match one result at the same moment, on the database that the suite runs on: one
wins, and 49 are told who. FULL=1: a thousand rounds."""

from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connections

from labs.errors import InvalidInput, Stale
from labs.models import LabRequest, MatchDecision, UnmatchedResult
from labs.services.orphaned import matching
from tests import factories

ROUNDS = 1000 if os.environ.get("FULL") == "1" else 3
PEOPLE = 50


@pytest.mark.django_db(transaction=True)
def test_failure_mode_03_of_fifty_who_match_at_once_one_wins_and_the_others_are_told_who():
    clinic = factories.make_clinic()
    people = [factories.make_staff(clinic=clinic, username=f"tech{n}") for n in range(PEOPLE)]
    patients = [factories.make_patient(clinic, name=f"Rex {n}") for n in range(2)]
    ready = threading.Barrier(PEOPLE)

    def match(number, orphan, version):
        try:
            mine = UnmatchedResult.objects.select_related("clinic").get(pk=orphan)
            ready.wait(timeout=60)
            matching.match(
                acting_user=people[number],
                unmatched=mine,
                patient=patients[number % 2],
                expected_version=version,
            )
        except (Stale, InvalidInput) as error:
            return error
        return None

    with ThreadPoolExecutor(PEOPLE) as pool:
        for _ in range(ROUNDS):
            orphan = factories.make_unmatched(clinic)
            said = list(
                pool.map(match, range(PEOPLE), [orphan.pk] * PEOPLE, [orphan.version] * PEOPLE)
            )
            decision = MatchDecision.objects.get(unmatched=orphan)
            assert decision.active
            assert said.count(None) == 1
            assert people[said.index(None)] == decision.actor
            told = [error for error in said if error is not None]
            assert len(told) == PEOPLE - 1
            for error in told:
                assert isinstance(error, Stale)
                assert f"{decision.actor.username} changed this result" in error.message
            # No half-made request of a loser is left behind.
            assert list(LabRequest.objects.filter(runs__unmatched=orphan)) == [decision.request]
        assert LabRequest.objects.count() == ROUNDS
        done = threading.Barrier(PEOPLE)

        def leave(_):
            connections.close_all()
            done.wait(timeout=60)

        list(pool.map(leave, range(PEOPLE)))
