from __future__ import annotations

import re
from collections.abc import Callable
from urllib.parse import urlencode

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from labs.models import Clinic, EmergencyCode, Patient
from labs.report import Identity
from labs.services.orders import emergency_codes
from tests import factories

SignIn = Callable[[User], Client]


def result(code: EmergencyCode, **typed: str) -> None:
    factories.make_unmatched(
        code.clinic,
        factories.make_report(
            [factories.make_run([factories.make_row("GLU", "31", flag="LL")])],
            identity=Identity(patient_id=code.code, **typed),
        ),
    )


def test_one_click_gives_a_code_and_the_patient_follows(
    clinic: Clinic, alice: User, signed_in: SignIn
) -> None:
    client = signed_in(alice)
    answer = client.post(reverse("labs:give_emergency"), follow=True)
    code = EmergencyCode.objects.get()
    page = answer.content.decode()
    assert f'class="bigcode" translate="no">{code.code}<' in page
    assert "Type it at the analyzer as the patient id" in page

    result(code)
    page = client.get(reverse("labs:worklist")).content.decode()
    assert "critical: GLU 31" in page and "1 result has come. Say whose it is." in page
    assert 'class="count red"' in page  # on every page, in the navigation

    patient = factories.make_patient(clinic, name="Biscuit", patient_id="P-77")
    page = client.get(
        reverse("labs:emergency_hits", args=[code.code]), {"q": "bisc"}
    ).content.decode()
    assert f"{code.code} is Biscuit, P-77" in page  # two identifiers on the button
    answer = client.post(
        reverse("labs:choose_emergency", args=[code.code]), {"patient": patient.uuid}, follow=True
    )
    assert "1 result is now on Biscuit&#x27;s record" in answer.content.decode()
    assert "on the record" in answer.content.decode()
    page = client.get(reverse("labs:worklist")).content.decode()
    assert 'class="count red"' not in page


def test_something_that_speaks_against_it_is_said(
    clinic: Clinic, alice: User, signed_in: SignIn
) -> None:
    client = signed_in(alice)
    code = emergency_codes.give(acting_user=alice, clinic=clinic)
    result(code, patient_name="REX")
    patient = factories.make_patient(clinic, name="Biscuit")
    answer = client.post(
        reverse("labs:choose_emergency", args=[code.code]), {"patient": patient.uuid}, follow=True
    )
    page = answer.content.decode()
    assert "1 result with this code waits for a person" in page
    assert "Name REX; the code is for Biscuit." in page and "needs a person" in page
    assert "needs a person" in page
    page = client.get(reverse("labs:worklist")).content.decode()
    assert "1 of its results needs a person" in page


def test_the_match_screen_takes_the_code_for_no_id(
    clinic: Clinic, alice: User, signed_in: SignIn
) -> None:
    code = emergency_codes.give(acting_user=alice, clinic=clinic)
    patient = factories.make_patient(clinic, name="Biscuit", patient_id="P-77")
    EmergencyCode.objects.update(patient=patient)
    result(code, patient_name="REX")
    (orphan,) = code.results.all()
    page = signed_in(alice).get(reverse("labs:match", args=[orphan.uuid])).content.decode()
    assert "P-77" in page  # the code's patient is a candidate
    assert "Name REX; the code is for Biscuit." in page


def test_closing_and_what_is_nobodys(clinic: Clinic, alice: User, signed_in: SignIn) -> None:
    client = signed_in(alice)
    code = emergency_codes.give(acting_user=alice, clinic=clinic)
    answer = client.post(reverse("labs:close_emergency", args=[code.code]), follow=True)
    assert "will never be used again" in answer.content.decode()
    assert code.code in client.get(reverse("labs:emergency", args=[code.code])).content.decode()
    assert client.get(reverse("labs:emergency", args=["22222"])).status_code == 404
    elsewhere = emergency_codes.give(acting_user=None, clinic=factories.make_clinic())
    for name in ("emergency", "emergency_hits"):
        assert client.get(reverse(f"labs:{name}", args=[elsewhere.code])).status_code == 404
    for name in ("choose_emergency", "close_emergency"):
        assert client.post(reverse(f"labs:{name}", args=[elsewhere.code])).status_code == 404
    elsewhere.refresh_from_db()
    assert elsewhere.closed_at is None and elsewhere.patient is None
    stranger = factories.make_patient(elsewhere.clinic)
    mine = emergency_codes.give(acting_user=alice, clinic=clinic)
    answer = client.post(
        reverse("labs:choose_emergency", args=[mine.code]), {"patient": stranger.uuid}
    )
    assert answer.status_code == 404


def test_several_codes_are_one_line_and_a_critical_value_is_none_of_it(
    clinic: Clinic, alice: User, signed_in: SignIn
) -> None:
    client = signed_in(alice)

    def folded() -> tuple[str, str]:
        """The worklist's line that unfolds, and what is in it; else nothing."""
        page = client.get(reverse("labs:worklist")).content.decode()
        found = re.search(
            r'<details class="codesopen"><summary(.*?)</summary>(.*?)</details>', page, re.S
        )
        return (re.sub(r"<[^>]*>", "", found[1]), found[2]) if found else ("", "")

    codes = [emergency_codes.give(acting_user=alice, clinic=clinic) for _ in range(2)]
    result(codes[0])  # critical
    assert folded() == ("", ""), "one alone beside it is no list"
    codes.append(emergency_codes.give(acting_user=alice, clinic=clinic))
    line, inside = folded()
    assert "2 emergency codes" in line and "wait" not in line
    assert codes[0].code not in inside and codes[1].code in inside and codes[2].code in inside
    calm = factories.make_run([factories.make_row("WBC", "6.1")])
    came = factories.make_report([calm], identity=Identity(patient_id=codes[1].code))
    factories.make_unmatched(clinic, came)
    assert "2 emergency codes · 1 with results that wait" in folded()[0]


def test_a_patient_added_for_a_code_leads_back_to_it(
    clinic: Clinic, alice: User, signed_in: SignIn
) -> None:
    client = signed_in(alice)
    code = emergency_codes.give(acting_user=alice, clinic=clinic)
    answer = client.post(
        reverse("labs:new_patient") + f"?emergency={code.code}",
        {"name": "Stray", "species": "cat", "sex": "U"},
    )
    assert answer.status_code == 302
    page = client.get(answer["Location"]).content.decode()
    assert f"{code.code} is Stray" in page


@pytest.mark.parametrize("code", ["a/b", "//evil.example", "E-NONE"])
def test_a_code_that_is_none_leads_nowhere_else(alice: User, signed_in: SignIn, code: str) -> None:
    """The animal is added by then: a 500 would have it added twice."""
    client = signed_in(alice)
    address = f"{reverse('labs:new_patient')}?{urlencode({'emergency': code})}"
    form = {"name": "Rocky", "species": "dog", "sex": "U", "neutered": ""}
    answer = client.post(address, form)
    assert answer["Location"] == reverse("labs:patient", args=[Patient.objects.get().uuid])
