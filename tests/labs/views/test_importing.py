"""The page that checks a file of patients line by line, and imports what was checked."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import pytest
from django.contrib.auth.models import User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse

import labs
from labs.models import Clinic, LabEvent, Owner, Patient, Weight
from labs.services.registry.csv_patients import COLUMNS
from labs.services.registry.imports import import_patients
from labs.views import importing
from tests import factories

SignIn = Callable[[User], Client]
GOOD = "patient_id,name,species,owner_last_name,weight_kg\nP-1,Ada,dog,Moser,31.4\n,Milo,cat,,\n"
HTMX = {"HX-Request": "true"}


def send(client: Client, content: str | bytes, **fields: str) -> tuple[int, str]:
    answer = post(client, content, **fields)
    return answer.status_code, answer.content.decode()


def post(
    client: Client, content: str | bytes, headers: dict[str, str] | None = None, **fields: str
):  # type: ignore[no-untyped-def]
    raw = content.encode() if isinstance(content, str) else content
    file = SimpleUploadedFile("ours.csv", raw)
    address = reverse("labs:import_patients")
    return client.post(address, {"file": file, **fields}, headers=headers or {})


def checked(page: str) -> dict[str, str]:
    """What the button to import sends."""
    key = re.search(r'name="form_key" value="([^"]+)"', page)
    digest = re.search(r'name="checked" value="([^"]+)"', page)
    assert key and digest
    return {"form_key": key[1], "checked": digest[1]}


def written() -> tuple[int, ...]:
    return tuple(model.objects.count() for model in (Patient, Owner, Weight, LabEvent))


def test_a_file_is_checked_then_imported(clinic: Clinic, ada: User, signed_in: SignIn) -> None:
    client = signed_in(ada)
    assert 'name="checked"' not in client.get(reverse("labs:import_patients")).content.decode()
    before = written()
    status, page = send(client, GOOD)
    assert status == 200
    assert written() == before
    assert "ours.csv is in order" in page
    assert "<b>2</b> new" in page
    assert "<b>1</b> without an id" in page
    assert "Import 2 patients" in page
    assert "no id, line 3" in page
    answer = post(client, GOOD, **checked(page))
    assert (answer.status_code, answer["Location"]) == (302, reverse("labs:patients"))
    assert "Imported: 2 new" in client.get(answer["Location"]).content.decode()
    assert set(Patient.objects.values_list("clinic", "name")) == {
        (clinic.pk, "Ada"),
        (clinic.pk, "Milo"),
    }
    event = LabEvent.objects.get(verb="patients.imported")
    assert (event.actor, event.source, event.clinic) == (ada, "", clinic)


def test_errors_are_said_by_line_and_there_is_no_button(ada: User, signed_in: SignIn) -> None:
    client = signed_in(ada)
    bad = f"{GOOD}P-3,,dog,,\nP-4,Rex,dog,,31;4\n"
    before = written()
    status, page = send(client, bad)
    assert status == 422
    assert "2 problems" in page
    assert "Line 4" in page and "name is empty." in page
    assert "Line 5" in page and "is no number such as 31.4" in page
    assert 'name="checked"' not in page
    assert "Ada" in page  # the first lines, as read
    # Also with the right digest: nothing of a file that has an error.
    digest = importing.digest(Clinic.objects.get(), bad.encode())
    assert send(client, bad, checked=digest)[0] == 422
    assert written() == before


def test_only_what_was_checked_is_imported(clinic: Clinic, ada: User, signed_in: SignIn) -> None:
    client = signed_in(ada)
    _, page = send(client, GOOD)
    before = written()
    for content, digest in (
        (GOOD.replace("Ada", "Eva"), checked(page)["checked"]),
        (GOOD, ""),
        (GOOD, importing.digest(factories.make_clinic("Oak"), GOOD.encode())),
    ):
        status, said = send(client, content, checked=digest)
        assert status == 422
        assert f"is not the file that was checked for {clinic}" in said
    assert written()[:3] == before[:3]


def test_what_changed_since_the_check_is_seen(clinic: Clinic, ada: User, signed_in: SignIn) -> None:
    """Two owners of that name by now: the import asks which one, as the check would."""
    client = signed_in(ada)
    _, page = send(client, GOOD)
    for owner_id in ("C-1", "C-2"):
        Owner.objects.create(clinic=clinic, owner_id=owner_id, last_name="Moser")
    status, said = send(client, GOOD, **checked(page))
    assert status == 422
    assert "several owners are called Moser" in said
    assert not Patient.objects.exists()


def test_the_form_that_is_sent_twice_imports_once(ada: User, signed_in: SignIn) -> None:
    """Milo has neither id nor owner, so that nothing but the form tells that it is he again."""
    client = signed_in(ada)
    _, page = send(client, GOOD)
    assert send(client, GOOD, **checked(page))[0] == 302
    status, said = send(client, GOOD, **checked(page))
    assert status == 422
    assert "this form was sent before" in said
    assert Patient.objects.filter(name="Milo").count() == 1


def test_what_is_on_record_already_offers_no_import(
    clinic: Clinic, ada: User, signed_in: SignIn
) -> None:
    lines = "patient_id,name,species\nP-1,Ada,dog\n"
    import_patients(acting_user=None, clinic=clinic, content=lines.encode())
    status, page = send(signed_in(ada), lines)
    assert status == 200
    assert "there is nothing to import" in page
    assert 'name="checked"' not in page


def test_a_part_of_the_page_for_htmx(ada: User, signed_in: SignIn) -> None:
    client = signed_in(ada)
    answer = post(client, GOOD, HTMX)
    page = answer.content.decode()
    assert answer.status_code == 200
    assert "<html" not in page
    assert "Choose the same file again" not in page  # the browser has kept it
    # A chosen file that is corrected can't be read again by the browser: it is chosen anew.
    wrong = post(client, "name,species\n,dog", HTMX)
    assert wrong.status_code == 200
    assert 'hx-swap-oob="true"' in wrong.content.decode()
    done = post(client, GOOD, HTMX, **checked(page))
    assert done["HX-Redirect"] == reverse("labs:patients")
    assert Patient.objects.count() == 2


def test_without_scripts_it_says_to_choose_the_file_again(ada: User, signed_in: SignIn) -> None:
    assert "Choose the same file again" in send(signed_in(ada), GOOD)[1]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "the file is empty."),
        (b"PK\x03\x04rest", "this is a workbook and no CSV."),
        (b"name,species\nZ\xfcs,cat", "Save the file as “CSV UTF-8”"),
        ("name,species\nA,dog".encode("utf-16-le"), "Save the file as “CSV UTF-8”"),
        (b"<html>", "is not known."),
    ],
)
def test_what_is_no_such_file_is_refused_in_words(
    content: bytes, said: str, ada: User, signed_in: SignIn
) -> None:
    status, page = send(signed_in(ada), content)
    assert status == 422
    assert said in page


def test_no_file_at_all(ada: User, signed_in: SignIn) -> None:
    answer = signed_in(ada).post(reverse("labs:import_patients"), {})
    assert answer.status_code == 422
    assert "Choose the CSV file first." in answer.content.decode()


def test_a_file_over_the_limit_is_refused(
    ada: User, signed_in: SignIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importing, "MAX_BYTES", 20)
    status, page = send(signed_in(ada), GOOD)
    assert status == 422
    assert "The file is larger than 20" in page


def test_a_file_of_which_only_the_beginning_came_is_refused(
    ada: User, signed_in: SignIn, settings: object
) -> None:
    """Over its own limit the server keeps the beginning of a body: what is there may look whole."""
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 10_000  # type: ignore[attr-defined]
    client = signed_in(ada)
    lines = GOOD + "\n" * (9_900 - len(GOOD))
    status, page = send(client, lines[:9_000])
    assert (status, "is in order" in page) == (200, True)
    status, page = send(client, lines)  # with what a form puts around it, over the limit
    assert status == 422
    assert "The file is larger than 9.8" in page


def test_markup_in_a_cell_is_text(ada: User, signed_in: SignIn) -> None:
    script = "<script>pwned()</script>"
    lines = (
        "patient_id,name,species,breed,owner_id,owner_last_name,owner_phone\n"
        + ",".join([script, script, "dog", script, script, script, script])
        + "\n"
    )
    client = signed_in(ada)
    pages = [
        send(client, lines)[1],
        send(client, f"{lines}P-2,{script},dog,,{script},other,\n")[1],
        send(client, f"{script},name\n")[1],
    ]
    for page in pages:
        assert script not in page
        assert "&lt;script&gt;pwned()" in page


def test_many_errors_are_cut_off_and_counted(ada: User, signed_in: SignIn) -> None:
    lines = "name,species,sex\n" + f"A,dog,{'q' * 5000}\n" * 260
    page = send(signed_in(ada), lines)[1]
    assert page.count("is not understood") == 0  # beyond what is shown of a sentence
    assert page.count("the sex “qqq") == importing.MOST_PROBLEMS
    assert "And 60 more" in page
    assert len(page) < 200_000


def test_it_is_for_administrators(
    clinic: Clinic, alice: User, bob: User, signed_in: SignIn
) -> None:
    for user in (alice, bob):
        client = signed_in(user)
        assert client.get(reverse("labs:import_patients")).status_code == 403
        digest = importing.digest(clinic, GOOD.encode())
        assert send(client, GOOD, checked=digest)[0] == 403
        page = client.get(reverse("labs:patients")).content.decode()
        assert reverse("labs:import_patients") not in page
    assert not Patient.objects.exists()


def test_administrators_are_led_there(ada: User, signed_in: SignIn) -> None:
    client = signed_in(ada)
    link = f'href="{reverse("labs:import_patients")}"'
    assert client.get(reverse("labs:patients")).content.decode().count(link) == 2  # it is empty
    assert link in client.get(reverse("labs:worklist")).content.decode()


def test_the_file_to_begin_with_is_one_that_is_taken(ada: User, signed_in: SignIn) -> None:
    content = (Path(labs.__file__).parent / "static" / "labs" / "patients.csv").read_bytes()
    assert content.decode("utf-8-sig").splitlines()[0] == ",".join(COLUMNS)
    status, page = send(signed_in(ada), content)
    assert status == 200
    assert "<b>1</b> new" in page


def test_every_column_is_explained() -> None:
    assert list(importing.COLUMNS) == COLUMNS
    assert all(importing.COLUMNS.values())


def test_a_key_that_is_none_is_no_error(ada: User, signed_in: SignIn) -> None:
    client = signed_in(ada)
    given = checked(send(client, GOOD)[1])
    assert send(client, GOOD, **given | {"form_key": "x"})[0] == 302
    assert send(client, GOOD, **given | {"form_key": str(uuid4())})[0] == 302
