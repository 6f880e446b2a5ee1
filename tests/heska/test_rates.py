"""Too many of one application: 429, and nobody else is touched."""

from __future__ import annotations

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest
import time_machine

from integrations.heska import rates
from integrations.heska.connections import create_client
from tests.factories import make_clinic

AT = datetime(2026, 3, 2, 12, 0, 45, tzinfo=UTC)


@pytest.fixture(autouse=True)
def folder(settings, tmp_path):
    settings.VAR_DIR = tmp_path
    settings.INTAKE_RATE_PER_MINUTE = 2
    return tmp_path


@pytest.fixture
def post(client, db):
    """Posts a body of its own kind with a client of its own for that clinic."""
    tokens = {}

    def post(clinic, number):
        if clinic not in tokens:
            access = create_client(acting_user=None, clinic=clinic)
            form = {"client_id": access.client_id, "client_secret": access.client_secret}
            answer = client.post("/api/oauth/token", form, content_type="application/json")
            tokens[clinic] = answer.json()["access_token"]
        return client.post(
            f"/api/unmatchedlabresults/{clinic.public_id}",
            json.dumps({"number": number}),
            content_type="application/json",
            headers={"authorization": f"Bearer {tokens[clinic]}"},
        )

    return post


def test_over_the_limit_is_told_when_to_come_again(post):
    clinic, other = make_clinic(), make_clinic("Another")
    with time_machine.travel(AT, tick=False) as clock:
        assert [post(clinic, n).status_code for n in range(3)] == [202, 202, 429]
        refused = post(clinic, 3)
        assert refused["Retry-After"] == "15"
        assert refused["Content-Type"] == "application/problem+json"
        assert post(other, 4).status_code == 202

        clock.shift(15)
        assert post(clinic, 3).status_code == 202


def test_what_cannot_be_counted_is_let_in(post, settings, folder):
    clinic = make_clinic()
    assert post(clinic, 0).status_code == 202
    settings.VAR_DIR = folder / "a file"
    settings.VAR_DIR.write_text("no folder")

    assert [post(clinic, n).status_code for n in range(1, 4)] == [202, 202, 202]


def test_each_is_counted_once_whoever_else_counts():
    with ThreadPoolExecutor(8) as threads:
        places = list(threads.map(lambda _: rates.count(7, 1), range(400)))

    assert sorted(places) == list(range(1, 401))


COUNTING = """
import pathlib, sys
from django.conf import settings
settings.configure(VAR_DIR=pathlib.Path(sys.argv[1]))
from integrations.heska import rates
print(*[rates.count(7, 1) for _ in range(300)])
"""


def test_each_is_counted_once_by_several_processes(folder):
    command = [sys.executable, "-c", COUNTING, str(folder)]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(3)]
    places = [int(place) for each in processes for place in each.communicate()[0].split()]

    assert sorted(places) == list(range(1, 901))


def test_only_this_minute_is_kept(folder):
    for minute in (1, 2, 3):
        rates.count(7, minute)
    rates.count(8, 3)

    assert sorted(file.name for file in (folder / "rates").iterdir()) == ["7-3", "8-3"]
