from __future__ import annotations

import json
import shutil
import stat
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import time_machine
from django.contrib.auth.models import User
from django.core.management import CommandError
from django.db import transaction
from django.test import Client, override_settings
from django.utils import timezone
from pytest_django import DjangoDbBlocker

from integrations.heska.demo import past
from labs.models import (
    Alarm,
    Clinic,
    LabEvent,
    LabRequest,
    LabResult,
    Message,
    Observation,
    Patient,
    Submission,
    TestRun,
    UnmatchedResult,
)
from tests.factories import make_clinic
from tests.heska.examples import raw
from tests.shell import answer, said

pytestmark = pytest.mark.django_db

EXAMPLE = "/api/labresults/k9d2c7e1f0a84bX5mQ2rTz"


@pytest.fixture(scope="module")
def seeded(
    django_db_setup: None,
    django_db_blocker: DjangoDbBlocker,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Path]:
    """VAR_DIR of a demo that is filled in once for this module: it takes some seconds."""
    var_dir = tmp_path_factory.mktemp("var")
    with (
        django_db_blocker.unblock(),
        transaction.atomic(),
        override_settings(VAR_DIR=var_dir, HESKA_ALLOW_INSECURE=True),
    ):
        assert answer("seed_demo") == {"seeded": True, "files": str(var_dir / "demo")}
        yield var_dir
        transaction.set_rollback(True)


@pytest.fixture(autouse=True)
def no_production(settings: Any) -> None:
    """Also where the suite runs on PostgreSQL."""
    settings.HESKA_ALLOW_INSECURE = True


@pytest.fixture
def folder(seeded: Path, settings: Any, tmp_path: Path) -> Path:
    """A copy of its files, for one test."""
    shutil.copytree(seeded / "demo", tmp_path / "demo")
    settings.VAR_DIR = tmp_path
    return tmp_path / "demo"


def read(path: Path) -> Any:
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    return json.loads(path.read_text())


def test_it_is_all_or_nothing(
    settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(*_: object) -> None:
        raise KeyboardInterrupt

    settings.VAR_DIR = tmp_path
    monkeypatch.setattr(past, "play", stopped)
    with pytest.raises(KeyboardInterrupt):
        said("seed_demo")
    assert not Clinic.objects.exists()
    assert not (tmp_path / "demo").exists()


def test_a_clinic_that_is_not_the_demos_is_left_alone(settings: Any, tmp_path: Path) -> None:
    settings.VAR_DIR = tmp_path
    make_clinic(public_id="clinic-0077")
    with pytest.raises(CommandError, match="clinic-0077 that is not the demo's"):
        said("seed_demo")


def test_what_the_demo_holds(folder: Path) -> None:
    assert Clinic.objects.count() == 2
    assert Patient.objects.filter(owner__isnull=False).count() == 40
    for login in read(folder / "logins.json"):
        user = User.objects.get(username=login["username"])
        assert user.check_password(login["password"])
        assert user.is_staff == (login["role"] == "Administrator")
        assert not user.is_superuser
    script = read(folder / "simulator.json")
    assert [clinic["clinic_id"] for clinic in script["clinics"]] == ["clinic-0042", "clinic-0077"]

    states = dict.fromkeys(LabRequest.objects.values_list("state", flat=True))
    wanted = "queued accepted running partial complete cancelled needs_attention"
    assert set(states) == set(wanted.split())
    queue = UnmatchedResult.objects.values_list("state", "reason").distinct()
    assert {("open", "no_request"), ("open", "conflict"), ("held", "no_request")} <= set(queue)
    assert TestRun.objects.filter(review_state="changed").count() == 1
    assert TestRun.objects.filter(
        review_state="waiting", observations__flag_delivered="HH", request__state="complete"
    ).exists()
    rising = Observation.objects.filter(run__request__patient__patient_id="P-10401", code="CREA")
    values = [row.value for row in rising.order_by("result__reported_at")]
    assert len(values) == 9
    assert values == sorted(values)  # type: ignore[type-var]
    oldest = LabResult.objects.order_by("reported_at")[0].reported_at
    assert oldest is not None
    assert timezone.now() - oldest > timedelta(days=690)
    # Only the one that waits for Heska is ever sent; the history is not.
    assert Submission.objects.due().count() == 0
    assert Submission.objects.filter(state="queued").count() == 1
    assert answer("reconcile")["holds"] is True
    assert not Message.objects.filter(received_at__gt=timezone.now()).exists()


def test_the_contracts_examples_file_as_they_stand(folder: Path) -> None:
    variables = dict(
        line.replace("'", "").split("=", 1)
        for line in (folder / "heska.env").read_text().splitlines()
    )
    client = Client()
    form = {"client_id": variables["CLIENT_ID"], "client_secret": variables["CLIENT_SECRET"]}
    granted = client.post("/api/oauth/token", form, content_type="application/json")
    bearer = {"Authorization": f"Bearer {granted.json()['access_token']}"}

    def post(url: str, body: bytes) -> tuple[int, str]:
        reply = client.post(url, body, content_type="application/json", headers=bearer)
        return reply.status_code, reply.json()["Status"]

    assert post(EXAMPLE, raw("06")) == (201, "Stored")
    assert answer("show_request", "VL-3F7K2M9Q")["state"] == "Partial"
    assert post(EXAMPLE, raw("07")) == (201, "Stored")
    assert answer("show_request", "VL-3F7K2M9Q")["state"] == "Complete"
    unmatched = variables["UNMATCHED_URL"].removeprefix(variables["BASE"])
    assert post(unmatched, raw("08")) == (201, "Stored")
    assert post(EXAMPLE, raw("06")) == (200, "Duplicate")


def test_the_second_run_keeps_it_and_moves_the_day(folder: Path, settings: Any) -> None:
    counts = [model.objects.count() for model in (Patient, LabRequest, Message, LabEvent)]
    before = dict(LabRequest.objects.values_list("lab_report_id", "requested_at"))
    queue = dict(UnmatchedResult.objects.values_list("pk", "created_at"))
    alarms = dict(Alarm.objects.filter(ended="").values_list("pk", "raised_at"))
    assert alarms and all(Alarm.objects.filter(ended="").values_list("first_at", flat=True)), (
        "somebody has been told before the first page opens"
    )
    logins, script = read(folder / "logins.json"), read(folder / "simulator.json")
    settings.PUBLIC_BASE_URL = "http://localhost:8123"
    assert answer("seed_demo")["seeded"] is False
    assert dict(LabRequest.objects.values_list("lab_report_id", "requested_at")) == before

    touched = LabRequest.objects.get(state="partial")
    LabRequest.objects.filter(pk=touched.pk).update(version=touched.version + 1)
    with time_machine.travel(timezone.now() + timedelta(days=1, hours=2), tick=False):
        assert answer("seed_demo")["seeded"] is False
    assert counts == [model.objects.count() for model in (Patient, LabRequest, Message, LabEvent)]
    assert read(folder / "logins.json") == logins
    moved = {
        name: at - before[name]
        for name, at in LabRequest.objects.values_list("lab_report_id", "requested_at")
        if at != before[name]
    }
    assert moved.keys() >= {"VL-3F7K2M9Q"}
    assert touched.lab_report_id not in moved
    assert len(moved) == 12  # the history of 86 stays
    assert {round(by / timedelta(hours=1)) for by in moved.values()} == {26}
    for orphan in UnmatchedResult.objects.filter(state__in=["open", "held"]):
        assert orphan.created_at > queue[orphan.pk]
    for orphan in UnmatchedResult.objects.filter(state="matched"):
        assert orphan.created_at == queue[orphan.pk]
    for alarm in Alarm.objects.filter(ended=""):
        assert alarm.raised_at > alarms[alarm.pk]
        assert alarm.first_at is not None and alarm.first_at > alarm.raised_at
    again = read(folder / "simulator.json")
    assert again["clinics"][0]["pims"]["token_url"] == "http://localhost:8123/api/oauth/token"
    assert again["clinics"][0]["client_secret"] == script["clinics"][0]["client_secret"]
    assert "BASE='http://localhost:8123'" in (folder / "heska.env").read_text()

    for name in ("logins.json", "simulator.json", "heska.env", "live.json"):
        (folder / name).unlink()
    assert "there already" in said("seed_demo")
    (login, *_) = read(folder / "logins.json")
    assert User.objects.get(username=login["username"]).check_password(login["password"])
    assert read(folder / "simulator.json")["clinics"][0]["client_id"] == "demo-clinic-0042"


def test_a_production_installation_gets_no_demo_logins(settings: Any) -> None:
    settings.PRODUCTION = True
    settings.HESKA_ALLOW_INSECURE = False
    with pytest.raises(CommandError, match="production"):
        said("seed_demo")
