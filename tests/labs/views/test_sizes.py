"""A page arrives at once also over a bad line: how large it is, and all that it brings along."""

from __future__ import annotations

import gzip
import re
from pathlib import Path

import pytest
from django.contrib.staticfiles import finders
from django.test import Client
from django.urls import reverse

from labs.models import Role
from labs.queries.overview.worklist import FOLD
from labs.queries.paging import PAGE
from labs.services.reviews import review
from tests import factories

pytestmark = pytest.mark.django_db
WORKLIST = 60_000  # bytes of HTML, not compressed
STYLES_AND_SCRIPTS = 100_000  # bytes of all of them, compressed as a server does


@pytest.fixture
def client() -> Client:
    """At a clinic with more of everything than a worklist shows, each with a long name."""
    clinic = factories.make_clinic()
    vet = factories.make_staff(Role.ADMIN, clinic=clinic, last_name="Papadimitriou-Featherstone")
    doctor = factories.make_staff(Role.VET, clinic=clinic)
    rows = [factories.make_row(code, "44.1", critical_high="40") for code in ("WBC", "RBC", "HGB")]
    for number in range(PAGE + 5):
        patient = factories.make_patient(
            clinic,
            name=f"Maximilian the {number}th",
            breed="Petit basset griffon vendéen",
            owner=factories.make_owner(clinic, first_name="Konstantina", last_name="Fitzgerald"),
        )
        come = factories.make_request(patient, acting_user=vet, accepted=True, notes="Fasted")
        factories.make_result(come, factories.make_report([factories.make_run(rows)]))
        if number <= FOLD:
            factories.make_request(patient, panels=["HHEM-1", "HDC-3"], accepted=True)
            seen = factories.make_request(patient, accepted=True)
            factories.make_result(seen)
            review.sign(acting_user=doctor, request=seen, expected_version=seen.version)
    signed_in = Client()
    signed_in.force_login(vet)
    return signed_in


@pytest.mark.parametrize("query", ["", "?show=review"])
def test_the_worklist_is_small(client: Client, query: str) -> None:
    page = client.get(reverse("labs:worklist") + query).content
    rows = page.count(b"<tr data-row")
    assert rows == (PAGE if query else 3 * FOLD), "it is measured full"
    assert len(page) < WORKLIST, f"{len(page)} bytes, {len(page) // rows} a row"


def test_all_styles_and_scripts_are_small(client: Client) -> None:
    """Those of every page together, though no page has all of them."""
    own = [path for path in Path("labs/static/labs").iterdir() if path.suffix in (".css", ".js")]
    page = client.get(reverse("labs:worklist")).content.decode()
    linked = re.findall(r'(?:src|href)="/static/([^"]+\.(?:js|css))"', page)
    assert {"labs/lab.css", "labs/lab.js"} <= set(linked)
    others = [finders.find(name) for name in linked if not name.startswith("labs/")]
    assert len(own) >= 4 and others, "htmx is one of them"
    sizes = {
        str(path): len(gzip.compress(Path(str(path)).read_bytes(), 6)) for path in (*own, *others)
    }
    assert sum(sizes.values()) < STYLES_AND_SCRIPTS, sizes
