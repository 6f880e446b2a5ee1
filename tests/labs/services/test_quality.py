"""Quality-control runs are put away together; nothing else, and nothing critical unseen."""

from __future__ import annotations

import pytest

from labs.errors import NotAllowed
from labs.models import UnmatchedResult
from labs.queries.orphaned.quality import controls
from labs.report import Identity
from labs.services.orphaned import matching, quality
from tests import factories

pytestmark = pytest.mark.django_db


@pytest.fixture
def clinic():
    return factories.make_clinic()


@pytest.fixture
def alice(clinic):
    return factories.make_staff(clinic=clinic, username="alice")


def critical(clinic, name):
    row = factories.make_row("K+", "7.9", name="Potassium", flag="HH")
    identity = Identity(patient_name=name)
    report = factories.make_report([factories.make_run([row])], identity=identity)
    return factories.make_unmatched(clinic, report)


def put_away(user, clinic, *orphans, seen=()):
    return quality.dismiss_together(
        acting_user=user,
        clinic=clinic,
        chosen=[(orphan.uuid, orphan.version) for orphan in orphans],
        critical_seen=[orphan.uuid for orphan in seen],
    )


def states():
    return dict(UnmatchedResult.objects.values_list("typed__patient_name", "state"))


def test_each_is_dismissed_with_a_history_of_its_own(clinic, alice):
    runs = [factories.make_unmatched(clinic, patient_name=name) for name in ("QC", "QC 2")]
    assert [control.orphan for control in controls(clinic)] == runs
    assert put_away(alice, clinic, *runs) == (2, [])
    for run in runs:
        decision = run.decisions.get()
        assert (decision.actor, decision.action) == (alice, "dismiss")
        assert decision.reason == "Quality control run"
    assert controls(clinic) == []


def test_what_does_not_say_so_stays_whatever_is_ticked(clinic, alice):
    bella = factories.make_unmatched(clinic, patient_name="BELLA")
    assert controls(clinic) == []
    done, (left,) = put_away(alice, clinic, bella)
    assert done == 0 and "does not say" in left
    assert states() == {"BELLA": "open"}


def test_critical_values_are_never_put_away_unseen(clinic, alice):
    run = critical(clinic, "QC")
    assert controls(clinic)[0].critical == ["K+ 7.9"]
    done, (left,) = put_away(alice, clinic, run)
    assert done == 0 and "critical value (K+ 7.9)" in left
    assert put_away(alice, clinic, run, seen=[run]) == (1, [])


def test_one_that_a_colleague_has_decided_meanwhile_is_left_and_the_others_go(clinic, alice):
    first, second = (factories.make_unmatched(clinic, patient_name="QC") for _ in range(2))
    shown = [(each.uuid, each.version) for each in (first, second)]
    bob = factories.make_staff(clinic=clinic, username="bob")
    matching.hold(acting_user=bob, unmatched=first, expected_version=first.version, reason="Mine")
    done, (left,) = quality.dismiss_together(acting_user=alice, clinic=clinic, chosen=shown)
    assert done == 1 and "bob" in left


def test_another_clinics_runs_are_none(clinic, alice):
    theirs = factories.make_unmatched(factories.make_clinic(), patient_name="QC")
    assert controls(clinic) == []
    assert put_away(alice, clinic, theirs) == (0, [])
    with pytest.raises(NotAllowed):
        put_away(alice, theirs.clinic, theirs)
    assert states() == {"QC": "open"}
