"""Two records are merged while others merge, match, order and edit, on the database that the suite
runs on: of each pair one wins, whoever lost is told, and nothing is left on the merged record."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connections

from labs.errors import LabError, Stale
from labs.models import (
    LabRequest,
    Merge,
    Panel,
    Patient,
    Role,
    TestRun,
    UnmatchedResult,
)
from labs.queries.orphaned.vocabulary import differences
from labs.services.orders import moving, ordering
from labs.services.orphaned import matching
from labs.services.registry import merging, patients
from labs.services.registry.imports import import_patients
from tests import factories

pytestmark = pytest.mark.django_db(transaction=True)
ROUNDS = 200 if os.environ.get("FULL") == "1" else 4
PEOPLE = 8


def at_once(*acts: Callable[[], Any]) -> list[Any]:
    """What each gives, or the refusal; anything else fails the test, a deadlock too."""
    ready = threading.Barrier(len(acts))

    def run(act: Callable[[], Any]) -> Any:
        try:
            ready.wait(timeout=60)
            return act()
        except LabError as refusal:
            return refusal
        finally:
            connections.close_all()

    with ThreadPoolExecutor(len(acts)) as pool:
        return list(pool.map(run, acts))


def a_pair() -> tuple[Patient, Patient]:
    clinic = factories.make_clinic()
    bella = factories.make_patient(clinic, name="Bella")
    double = factories.make_patient(clinic, name="Bela")
    factories.make_result(factories.make_request(double, accepted=True))
    return bella, double


def merge(survivor: Patient, merged: Patient, by: Any = None) -> Merge:
    one, other = Patient.objects.get(pk=survivor.pk), Patient.objects.get(pk=merged.pk)
    return merging.merge(acting_user=by, survivor=one, merged=other)


def holds(*people: Patient) -> None:
    """Nothing stands on a record that was merged away, and names are counted as they are."""
    for patient in Patient.objects.filter(merged_into__isnull=False):
        assert not LabRequest.objects.filter(patient=patient).exists()
        assert not patient.visit_set.exists()
        assert not patient.weight_set.exists()
        assert patient.merged_into is not None
        assert patient.merged_into.merged_into is None
    assert not TestRun.objects.filter(request=None, unmatched__state="matched").exists()
    assert differences(people[0].clinic) == []


@pytest.mark.parametrize("_", range(ROUNDS))
def test_of_all_who_merge_one_pair_in_either_direction_one_wins(_: int) -> None:
    bella, double = a_pair()
    people = [factories.make_staff(Role.VET, clinic=bella.clinic) for _ in range(PEOPLE)]
    said = at_once(
        *(
            lambda n=n: (
                merge(bella, double, people[n]) if n % 2 else merge(double, bella, people[n])
            )
            for n in range(PEOPLE)
        )
    )
    (won,) = [each for each in said if isinstance(each, Merge)]
    assert Merge.objects.get(clinic=bella.clinic) == won
    lost = [each for each in said if each is not won]
    assert all(isinstance(each, Stale) for each in lost)
    assert all(f"{won.by.username} has merged" in each.message for each in lost)
    assert LabRequest.objects.get(patient__clinic=bella.clinic).patient == won.into
    holds(bella, double)


@pytest.mark.parametrize("_", range(ROUNDS))
def test_of_all_who_separate_one_pair_one_wins(_: int) -> None:
    bella, double = a_pair()
    made = merge(bella, double)
    said = at_once(*[lambda: merging.undo(acting_user=None, merge=made, reason="two")] * PEOPLE)
    assert sum(isinstance(each, Merge) for each in said) == 1
    assert LabRequest.objects.get().patient == double
    holds(bella, double)


@pytest.mark.parametrize("_", range(ROUNDS))
def test_a_merge_against_orders_for_both_records(_: int) -> None:
    panels = list(Panel.objects.filter(code="HHEM-1"))
    bella, double = a_pair()

    def order(patient: Patient) -> Any:
        return ordering.place_request(acting_user=None, patient=patient, panels=panels)

    said = at_once(
        lambda: merge(bella, double),
        *[lambda: order(double)] * 3,
        *[lambda: order(bella)] * 2,
    )
    if isinstance(said[0], LabError):
        # An order came between: it is there, and the merge is made at the second try.
        assert "just now" in said[0].message
        merge(bella, double)
    placed = [each for each in said if isinstance(each, LabRequest)]
    refused = [each for each in said[1:] if isinstance(each, LabError)]
    assert len(placed) + len(refused) == 5
    assert all("was merged into" in each.message for each in refused)
    assert LabRequest.objects.filter(patient=bella).count() == 1 + len(placed)
    holds(bella, double)


@pytest.mark.parametrize("_", range(ROUNDS))
def test_a_merge_against_matches_moves_edits_and_an_import(_: int) -> None:
    bella, double = a_pair()
    clinic = bella.clinic
    rex = factories.make_patient(clinic, name="Rex")
    open_ = factories.make_request(double)
    moved = factories.make_request(rex)
    orphans = [factories.make_unmatched(clinic) for _ in range(3)]

    def match(orphan: UnmatchedResult, request: LabRequest | None = None) -> Any:
        mine = UnmatchedResult.objects.select_related("clinic").get(pk=orphan.pk)
        return matching.match(
            acting_user=None,
            unmatched=mine,
            patient=Patient.objects.get(pk=double.pk),
            request=request,
            expected_version=mine.version,
        )

    def move() -> Any:
        return moving.move_request(
            acting_user=None,
            request=moved,
            patient=double,
            expected_version=moved.version,
            reason="wrong animal",
        )

    lines = f"patient_id,name,species\n{double.patient_id},Bela,dog\n".encode()
    said = at_once(
        lambda: merge(bella, double),
        lambda: match(orphans[0]),
        lambda: match(orphans[1], open_),
        lambda: match(orphans[2], open_),
        move,
        lambda: patients.update_patient(acting_user=None, patient=double, breed="Pug"),
        lambda: import_patients(acting_user=None, clinic=clinic, content=lines),
    )
    assert all(isinstance(each, Stale) for each in said if isinstance(each, LabError)), said
    if isinstance(said[0], Stale):
        merge(bella, double)
    holds(bella, double)
    for orphan, told in zip(orphans, said[1:4], strict=True):
        orphan.refresh_from_db()
        assert orphan.state == ("open" if isinstance(told, Stale) else "matched")
        (request,) = {run.request for run in orphan.runs.all()}
        assert request is None or request.patient == bella


@pytest.mark.parametrize("_", range(ROUNDS))
def test_an_undo_against_results_and_matches_leaves_each_in_one_place(_: int) -> None:
    bella, double = a_pair()
    old = factories.make_request(double, accepted=True)
    made = merge(bella, double)
    old.refresh_from_db()
    orphan = factories.make_unmatched(bella.clinic)

    def match() -> Any:
        mine = UnmatchedResult.objects.select_related("clinic").get(pk=orphan.pk)
        return matching.match(
            acting_user=None,
            unmatched=mine,
            patient=bella,
            request=LabRequest.objects.get(pk=old.pk),
            expected_version=mine.version,
        )

    said = at_once(
        lambda: merging.undo(acting_user=None, merge=made, reason="two"),
        match,
        lambda: factories.make_result(LabRequest.objects.get(pk=old.pk)),
    )
    assert not [each for each in said if isinstance(each, LabError) and not _expected(each)]
    if isinstance(said[0], Stale):
        merging.undo(acting_user=None, merge=made, reason="two")
    old.refresh_from_db()
    orphan.refresh_from_db()
    assert old.patient == double
    # Whoever put it on the record of both has said nothing of one of them.
    assert (orphan.state, orphan.runs.get().request) == ("open", None)


def _expected(refusal: LabError) -> bool:
    return isinstance(refusal, Stale) or "another patient" in refusal.message
