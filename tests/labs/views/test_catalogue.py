from __future__ import annotations

from collections.abc import Callable

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from labs.models import Analyzer, Clinic, OwnInterval, OwnPanel
from tests import factories

SignIn = Callable[[User], Client]


def test_an_administrator_sets_favourite_billing_code_and_time(
    clinic: Clinic, ada: User, signed_in: SignIn
) -> None:
    client = signed_in(ada)
    sent = {"panel": "HHEM-1", "favourite": "1", "billing_code": " LAB-7 ", "usual_minutes": "30"}
    page = client.post(reverse("labs:own_panel"), sent, follow=True)
    text = page.content.decode()
    assert 'value="LAB-7"' in text and "usually 30 min, as this clinic set it" in text
    made = OwnPanel.objects.get()
    assert (made.clinic, made.favourite, made.usual_minutes) == (clinic, True, 30)
    bad = client.post(
        reverse("labs:own_panel"), {"panel": "HHEM-1", "usual_minutes": "soon"}, follow=True
    )
    assert "no whole number" in bad.content.decode()
    assert client.post(reverse("labs:own_panel"), {"panel": "NOPE"}).status_code == 404


def test_whoever_stands_at_an_analyzer_says_that_it_is_down(
    clinic: Clinic, alice: User, charlie: User, signed_in: SignIn
) -> None:
    analyzer = Analyzer.objects.create(clinic=clinic, model="Element DCX", serial_number="7")
    url, client = reverse("labs:analyzer_state", args=[analyzer.pk]), signed_in(alice)
    assert "Say what is wrong" in client.post(url, {"down": "1"}, follow=True).content.decode()
    text = client.post(url, {"down": "1", "reason": "Lamp"}, follow=True).content.decode()
    assert "down since" in text and "Lamp" in text
    assert signed_in(charlie).post(url).status_code == 404
    assert "runs again" in client.post(url, follow=True).content.decode()
    analyzer.refresh_from_db()
    assert (analyzer.down_since, analyzer.down_reason) == (None, "")


def test_a_range_is_set_and_ended_on_the_page(
    clinic: Clinic, ada: User, alice: User, signed_in: SignIn
) -> None:
    client = signed_in(ada)
    sent = {"analyte": "WBC", "species": "cat", "low": "4", "high": "14", "unit": "10³/µL"}
    text = client.post(reverse("labs:add_range"), sent, follow=True).content.decode()
    assert "4 - 14 holds from now on" in text and "Results that are here keep" in text
    made = OwnInterval.objects.get()
    text = client.post(reverse("labs:end_range", args=[made.pk]), follow=True).content.decode()
    assert "Ended" in text
    for wrong in ({"analyte": "NOPE"}, {"unit": "g/L"}, {"from_months": "x"}):
        page = client.post(reverse("labs:add_range"), {**sent, **wrong}, follow=True)
        assert 'class="note error"' in page.content.decode()
    assert OwnInterval.objects.count() == 1
    # A technician reads it and has no form.
    text = signed_in(alice).get(reverse("labs:own_ranges")).content.decode()
    assert "Own ranges" in text and 'action="' + reverse("labs:add_range") not in text


@pytest.mark.parametrize("name", ["catalogue", "own_ranges"])
def test_another_clinics_settings_are_not_here(ada: User, signed_in: SignIn, name: str) -> None:
    oak = factories.make_clinic("Oak")
    Analyzer.objects.create(clinic=oak, model="Element DCX", serial_number="SECRET-1")
    assert "SECRET-1" not in signed_in(ada).get(reverse(f"labs:{name}")).content.decode()
