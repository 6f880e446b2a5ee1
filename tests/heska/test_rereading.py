"""A newer adapter reads filed messages again: what would differ, and putting it in place."""

from __future__ import annotations

import copy
import itertools
import json
import os
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from django.core.management import CommandError
from django.test import Client
from django.urls import reverse

from integrations.heska.services import filing
from integrations.heska.wire import inbound
from labs import values, vendors
from labs.models import (
    Attachment,
    Clinic,
    LabEvent,
    LabRequest,
    LabResult,
    Message,
    Observation,
    Patient,
    Role,
    UnmatchedResult,
)
from labs.report import Report
from labs.services.intake import journal, reread_plan, rereading
from labs.services.orphaned import matching
from labs.services.registry import patients
from labs.services.reviews import limits, review
from tests.factories import make_clinic, make_patient, make_request, make_staff
from tests.heska import examples
from tests.shell import lines, said

pytestmark = pytest.mark.django_db
Change = Callable[[pytest.MonkeyPatch], None]


def a_flag(patch: pytest.MonkeyPatch) -> None:
    read = values.read_flag
    patch.setattr(values, "read_flag", lambda text: "LL" if text == "L" else read(text))


def a_range(patch: pytest.MonkeyPatch) -> None:
    read = values.read_range

    def without_high(low: str, high: str, text: str) -> Any:
        return read(low, "", "") if low == "126" else read(low, high, text)

    patch.setattr(values, "read_range", without_high)


def changed_report(patch: pytest.MonkeyPatch, change: Callable[[Any], Any]) -> None:
    read = inbound.report
    patch.setattr(inbound, "report", lambda value, zone: change(read(value, zone)))


def each_run(patch: pytest.MonkeyPatch, change: Callable[[Any], Any]) -> None:
    changed_report(
        patch, lambda report: replace(report, runs=tuple(change(run) for run in report.runs))
    )


def comments(patch: pytest.MonkeyPatch) -> None:
    each_run(patch, lambda run: replace(run, comments=(*run.comments, "read anew")))


def the_order_of_versions(patch: pytest.MonkeyPatch) -> None:
    """What looked like the newest was not."""
    changed_report(patch, lambda report: replace(report, version=10 - report.version))


def rows_go_and_come(patch: pytest.MonkeyPatch) -> None:
    def change(run: Any) -> Any:
        rows = [row for row in run.rows if row.code != "WBC"]
        return replace(run, rows=tuple(row._replace(sequence="9" + row.sequence) for row in rows))

    each_run(patch, change)


def keys_of_runs(patch: pytest.MonkeyPatch) -> None:
    each_run(patch, lambda run: replace(run, key="new " + run.key, analyzer_name="Bench"))


def nothing_read_into_extra(patch: pytest.MonkeyPatch) -> None:
    changed_report(patch, lambda report: replace(report, extra={}, warnings=("odd",)))


RULES = [
    a_flag,
    a_range,
    comments,
    the_order_of_versions,
    rows_go_and_come,
    keys_of_runs,
    nothing_read_into_extra,
]


@pytest.fixture
def newer(monkeypatch: pytest.MonkeyPatch) -> Callable[[Change], None]:
    """Install an adapter that reads one thing otherwise."""

    def install(change: Change) -> None:
        monkeypatch.setattr(vendors.get("heska"), "adapter_version", "1")
        monkeypatch.setattr(filing, "ADAPTER_VERSION", "1")
        change(monkeypatch)

    return install


def make_order(clinic: Clinic, lab_report_id: str = "VL-3F7K2M9Q") -> LabRequest:
    """A request that the examples fit."""
    patient = Patient.objects.filter(clinic=clinic, patient_id="P-10482").first()
    patient = patient or make_patient(clinic, patient_id="P-10482", name="Biscuit", sex="M")
    request = make_request(patient, panels=("HHEM-1", "HDC-3"))
    request.lab_report_id = lab_report_id
    request.save()
    return request


def post(clinic: Clinic, body: Any, request: LabRequest | None = None) -> Message:
    if not isinstance(body, bytes):
        body = json.dumps(body).encode()
    way = f"labresults/{request.result_key}" if request else "unmatchedlabresults/"
    message, _ = journal.receive(
        vendor="heska",
        clinic=clinic,
        sender="tests",
        target=f"/api/{way}" if request else f"/api/{way}{clinic.public_id}",
        headers={},
        raw=body,
    )
    filing.file_stored(message)
    message.refresh_from_db()
    return message


def story(lab_report_id: str = "VL-3F7K2M9Q") -> list[Any]:
    """Preliminary, final with other values, corrected and cancelled."""
    first, last = examples.load("06"), examples.load("07")
    second = copy.deepcopy(first)
    second["ReportVersion"], second["MessageId"] = 2, "second"
    second["Tests"][0]["Results"][0]["Value"] = "7.00"
    bodies = [first, second, last]
    for body in bodies:
        body["LabReportId"] = lab_report_id
    return bodies


def picture(request: LabRequest) -> Any:
    """All that a person sees of a request; a run that is withdrawn has nothing to see."""
    request.refresh_from_db()
    runs = {}
    for version in LabResult.objects.filter(run__request=request, current=True):
        rows = Observation.objects.filter(run=version.run, current=True)
        if version.status != "withdrawn":
            runs[version.run.run_key] = (
                version.status,
                version.report_version,
                version.comments,
                sorted(repr([getattr(row, name) for name in reread_plan.OF_ROW]) for row in rows),
            )
        else:
            assert not rows.exists()
    tests = [(test.panel.code, test.state) for test in request.tests.order_by("position")]
    return request.state, tests, runs


@pytest.mark.parametrize("change", RULES)
def test_all_orders_with_the_adapter_changed_in_between_end_alike(
    change: Change, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every order of three messages, the newer adapter installed before each of them or after the
    last; all is read again at the end. It ends as if the newer one had read them all."""
    clinic = make_clinic()
    ends = set()
    names = itertools.count()
    # By default each order and each moment, but every other pair of them; FULL=1 has all.
    every = 1 if os.environ.get("FULL") == "1" else 2
    for turn, order in enumerate(itertools.permutations(range(3))):
        for before in range(turn % every, 4, every):
            name = f"VL-{next(names)}"
            request, bodies = make_order(clinic, name), story(name)
            with monkeypatch.context() as patch:
                for number, position in enumerate(order):
                    if number == before:
                        change(patch)
                    post(clinic, bodies[position], request)
                if before == 3:
                    change(patch)
                mine = Message.objects.filter(request=request)
                assert mine.count() == 3
                for pk in rereading.each(rereading.filed(mine)):
                    assert rereading.apply(pk)[1]
                for pk in rereading.each(rereading.filed(mine)):
                    assert rereading.compare(pk) is None
                    assert rereading.apply(pk) == (None, True)
            ends.add(repr(picture(request)).replace(name, ""))
            files = Attachment.objects.filter(message__in=mine)
            assert len(files.values("sha256", "message").distinct()) == files.count()
    assert len(ends) == 1


def test_what_would_differ_is_listed_and_nothing_is_changed(newer: Any) -> None:
    clinic = make_clinic()
    request = make_order(clinic)
    message = post(clinic, examples.raw("06"), request)
    assert lines("replay", "--compare") == []
    newer(a_flag)
    before = picture(request)
    (listed,) = lines("replay", "--compare")
    assert listed["receipt_id"] == message.receipt_id
    assert (listed["read_by"], listed["would_read"]) == ("0", "1")
    assert listed["lab_report_id"] == request.lab_report_id
    (run,) = listed["runs"]
    assert [row["code"] for row in run["rows"]] == ["MON#", "PLT"]
    assert run["rows"][0]["fields"] == [{"field": "flag_delivered", "stored": "L", "read": "LL"}]
    assert picture(request) == before
    assert LabResult.objects.count() == 1
    assert "CBC, MON#, flag_delivered: L, today LL" in said("replay", "--compare")


def test_applied_it_is_another_reading_and_the_one_before_stays(newer: Any) -> None:
    clinic = make_clinic()
    request = make_order(clinic)
    message = post(clinic, examples.raw("06"), request)
    newer(a_flag)
    (applied,) = lines("replay", "--apply")
    assert applied["applied"] is True
    first, second = LabResult.objects.order_by("reading")
    assert (first.reading, first.current, second.reading, second.current) == (1, False, 2, True)
    assert first.observations.count() == second.observations.count() == 5
    assert first.observations.get(code="MON#").flag_delivered == "L"
    assert not first.observations.filter(current=True).exists()
    message.refresh_from_db()
    assert (message.adapter_version, message.state) == ("1", "filed")
    event = LabEvent.objects.get(verb="result.reread")
    assert (event.message, event.request, event.source) == (message, request, "command")
    assert (event.data["adapter_before"], event.data["adapter"]) == ("0", "1")
    # Once more, and at once a second time: nothing.
    assert lines("replay", "--compare") == lines("replay", "--apply") == []
    assert LabEvent.objects.filter(verb="result.reread").count() == 1
    assert second.received_at == message.received_at


def test_what_reads_the_same_is_not_touched(newer: Any) -> None:
    clinic = make_clinic()
    message = post(clinic, examples.raw("06"), make_order(clinic))
    newer(lambda patch: None)
    assert lines("replay", "--apply") == []
    message.refresh_from_db()
    assert message.adapter_version == "0"
    assert LabResult.objects.count() == 1


@pytest.mark.parametrize(
    ("change", "opened"),
    [
        (a_flag, True),
        (rows_go_and_come, True),
        (keys_of_runs, True),
        (nothing_read_into_extra, False),
    ],
)
def test_a_review_of_something_else_opens_again(change: Any, opened: bool, newer: Any) -> None:
    clinic = make_clinic()
    vet = make_staff("vet", clinic=clinic)
    request = make_order(clinic)
    for body in story():
        post(clinic, body, request)
    request.refresh_from_db()
    review.sign(acting_user=vet, request=request, expected_version=request.version)
    request.refresh_from_db()
    assert request.reviewed_at is not None
    signed = {review.pk: (review.result_id, review.seen) for review in _reviews(request)}
    newer(change)
    assert lines("replay", "--apply")
    request.refresh_from_db()
    assert (request.reviewed_at is None) is opened
    states = set(request.runs.values_list("review_state", flat=True))
    assert ("changed" in states) is opened
    assert {review.pk: (review.result_id, review.seen) for review in _reviews(request)} == signed
    if opened:  # it can be signed as it is now
        review.sign(acting_user=vet, request=request, expected_version=request.version)
    request.refresh_from_db()
    assert request.reviewed_at is not None


def _reviews(request: LabRequest) -> Any:
    return [review for run in request.runs.all() for review in run.reviews.all()]


def test_a_run_that_is_read_no_more_is_withdrawn_and_comes_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clinic = make_clinic()
    request = make_order(clinic)
    post(clinic, story()[1], request)
    old = picture(request)
    with monkeypatch.context() as patch:
        keys_of_runs(patch)
        (applied,) = lines("replay", "--apply")
        assert {run["change"] for run in applied["runs"]} == {"appears", "goes"}
        assert len(picture(request)[2]) == len(old[2])
    # The newer adapter was wrong, and is taken back.
    assert lines("replay", "--apply")
    assert picture(request) == old
    assert lines("replay", "--compare") == []
    assert Attachment.objects.count() == 2


def test_an_orphan_keeps_its_place_and_what_was_typed(newer: Any) -> None:
    clinic = make_clinic()
    vet = make_staff("vet", clinic=clinic)
    matched, still_open = examples.load("08"), examples.load("08")
    still_open["HeskaReportId"] = "94913"
    for body in (matched, still_open):
        body["Tests"][0]["Results"][0]["AbnormalFlag"] = "L"
        post(clinic, body)
    first, second = UnmatchedResult.objects.order_by("pk")
    patient = make_patient(clinic, patient_id="1")
    request = matching.match(
        acting_user=vet, unmatched=first, patient=patient, expected_version=first.version
    )
    typed = [first.typed, second.typed]

    def another_animal(patch: pytest.MonkeyPatch) -> None:
        a_flag(patch)
        changed_report(
            patch,
            lambda report: replace(
                report, identity=replace(report.identity, patient_name="REX", breed="Boxer")
            ),
        )

    newer(another_animal)
    assert len(lines("replay", "--apply")) == 2
    assert lines("replay", "--compare") == []
    first, second = UnmatchedResult.objects.order_by("pk")
    assert [first.typed, second.typed] == typed
    assert (first.state, second.state) == ("matched", "open")
    for orphan, where in ((first, request), (second, None)):
        (run,) = orphan.runs.all()
        assert run.request == where
        assert run.observations.get(current=True, code="pH").flag_delivered == "LL"
    request.refresh_from_db()
    assert request.patient == patient


def test_what_now_contradicts_its_request_waits_for_a_person(newer: Any) -> None:
    clinic = make_clinic()
    request = make_order(clinic)
    message = post(clinic, examples.raw("06"), request)

    def another_animal(patch: pytest.MonkeyPatch) -> None:
        a_flag(patch)
        changed_report(
            patch,
            lambda report: replace(report, identity=replace(report.identity, patient_name="REX")),
        )

    newer(another_animal)
    with pytest.raises(CommandError, match="1 messages were left as they are"):
        lines("replay", "--apply")
    assert LabResult.objects.count() == 1
    (listed,) = lines("replay", "--compare")
    assert listed["contradicts"] == ["Name REX; the request is for Biscuit."]
    # A person looked, and names it: its values are read anew, its place stays.
    (applied,) = lines("replay", message.receipt_id, "--apply")
    assert applied["applied"] is True
    message.refresh_from_db()
    assert (message.request, LabResult.objects.count()) == (request, 2)


def test_what_cannot_be_read_any_more_stays_as_it_is(newer: Any) -> None:
    clinic = make_clinic()
    request = make_order(clinic)
    post(clinic, examples.raw("06"), request)
    before = picture(request)

    def refuse(value: Any, zone: Any) -> Any:
        raise inbound.NotUnderstood("No “Tests” were found in it.")

    newer(lambda patch: patch.setattr(inbound, "report", refuse))
    (listed,) = lines("replay", "--compare")
    assert listed["unreadable"] == "No “Tests” were found in it."
    with pytest.raises(CommandError, match="left as they are"):
        said("replay", "--apply")
    assert picture(request) == before
    assert not LabEvent.objects.filter(verb="result.reread").exists()


def test_only_that_clinic_and_only_since_that_day(newer: Any) -> None:
    """I3: a clinic's re-reading leaves every other clinic's rows."""
    elm, oak = make_clinic(), make_clinic("Oak")
    ours, theirs = make_order(elm), make_order(oak, "VL-OAK")
    body = examples.load("06")
    body["LabReportId"] = "VL-OAK"
    mine, other = post(elm, examples.raw("06"), ours), post(oak, body, theirs)
    before = picture(theirs)
    newer(a_flag)
    assert lines("replay", "--compare", "--since", "2100-01-01") == []
    (listed,) = lines("replay", "--compare", "--clinic", elm.public_id)
    assert listed["receipt_id"] == mine.receipt_id
    assert len(lines("replay", "--apply", "--clinic", elm.public_id)) == 1
    assert picture(theirs) == before
    other.refresh_from_db()
    assert other.adapter_version == "0"
    assert not LabEvent.objects.filter(verb="result.reread", clinic=oak).exists()
    assert len(lines("replay", "--compare")) == 1


def test_an_array_is_read_again_by_its_parts(newer: Any) -> None:
    clinic = make_clinic()
    request = make_order(clinic)
    post(clinic, story()[:2], request)
    newer(a_flag)
    assert len(lines("replay", "--apply")) == 2
    assert lines("replay", "--compare") == []


def test_files_are_described_anew_and_not_stored_twice(newer: Any) -> None:
    clinic = make_clinic()
    post(clinic, examples.raw("06"), make_order(clinic))
    contents = sorted(Attachment.objects.values_list("sha256", flat=True))

    def describe(patch: pytest.MonkeyPatch) -> None:
        read = inbound._file
        patch.setattr(
            inbound, "_file", lambda reader: replace(read(reader), description="Read anew")
        )

    newer(describe)
    (applied,) = lines("replay", "--apply")
    assert [file["change"] for file in applied["files"]] == ["differs"]
    assert lines("replay", "--compare") == []
    assert sorted(Attachment.objects.values_list("sha256", flat=True)) == contents
    assert set(Attachment.objects.values_list("description", flat=True)) == {"Read anew"}
    assert LabResult.objects.count() == 1


def test_a_later_tie_is_judged_by_the_newest_reading(newer: Any) -> None:
    """The same report under another message id, after its first copy was read anew."""
    clinic = make_clinic()
    request = make_order(clinic)
    post(clinic, examples.raw("06"), request)
    newer(comments)
    assert len(lines("replay", "--apply")) == 1
    again = examples.load("06")
    again["MessageId"] = "another"
    assert post(clinic, again, request).state == "filed"


def test_an_administrator_sees_the_difference_and_applies_it(newer: Any, client: Client) -> None:
    clinic = make_clinic()
    message = post(clinic, examples.raw("06"), make_order(clinic))
    page, apply = (
        reverse(name, args=[message.receipt_id]) for name in ("labs:message", "labs:reread")
    )
    client.force_login(make_staff("admin", clinic=clinic))
    seen = client.get(page)
    assert seen.context["today"] is None
    assert "adapter version 0" in seen.content.decode()
    newer(a_flag)
    seen = client.get(page).content.decode()
    assert "version 1 reads messages today" in seen and "MON#, flag delivered" in seen
    stale = client.post(apply, {"shown": "another difference"}, follow=True).content.decode()
    assert "What differs has changed meanwhile" in stale
    assert LabResult.objects.count() == 1
    shown = client.get(page).context["today"]["differs"].digest
    client.post(apply, {"shown": shown})
    assert LabResult.objects.count() == 2
    assert LabEvent.objects.get(verb="result.reread").actor is not None
    assert client.get(page).context["today"] is None
    # Whoever is no administrator, or works elsewhere, may not.
    client.force_login(make_staff("vet", clinic=clinic))
    assert client.post(apply, {"shown": shown}).status_code == 403
    client.force_login(make_staff("admin", clinic=make_clinic("Oak")))
    assert client.post(apply, {"shown": shown}).status_code == 404


def test_the_page_of_the_request_shows_what_was_read_before(newer: Any, client: Client) -> None:
    clinic = make_clinic()
    request = make_order(clinic)
    post(clinic, examples.raw("06"), request)
    newer(keys_of_runs)
    assert lines("replay", "--apply")
    client.force_login(make_staff("admin", clinic=clinic))
    page = client.get(reverse("labs:request", args=[request.lab_report_id])).content.decode()
    assert "it was read again since" in page
    assert "As its message is read today, it is not in it." in page
    assert ">withdrawn<" in page


def test_two_that_apply_it_at_once_store_it_once(
    newer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second one comes by between the first one's look and its lock."""
    clinic = make_clinic()
    message = post(clinic, examples.raw("06"), make_order(clinic))

    def both(patch: pytest.MonkeyPatch) -> None:
        a_flag(patch)
        nothing_read_into_extra(patch)

    newer(both)
    place = rereading.place_of

    def somebody_was_faster(*given: Any, **how: Any) -> Any:
        monkeypatch.setattr(rereading, "place_of", place)
        assert rereading.apply(message.pk)[0] is not None
        return place(*given, **how)

    monkeypatch.setattr(rereading, "place_of", somebody_was_faster)
    assert rereading.apply(message.pk) == (None, True)
    assert LabResult.objects.count() == 2
    assert LabEvent.objects.filter(verb="result.reread").count() == 1


def test_the_species_of_an_open_orphan_is_read_anew(newer: Any) -> None:
    clinic = make_clinic()
    with pytest.MonkeyPatch.context() as patch:
        changed_report(patch, lambda r: replace(r, identity=replace(r.identity, species_code="")))
        post(clinic, examples.load("08"))
    run = UnmatchedResult.objects.get().runs.get()
    row = run.observations.exclude(number="").exclude(analyte=None).first()
    assert row is not None
    limits.set_limit(
        acting_user=make_staff(Role.ADMIN, clinic=clinic),
        clinic=clinic,
        analyte=row.code,
        unit=row.unit,
        low="",
        species="dog",
        high="0.001",
    )
    newer(lambda patch: None)
    lines("replay", "--apply")
    now = run.observations.select_related("result").get(current=True, code=row.code)
    assert (now.result.species, now.result.limits_for) == ("dog", "dog")
    assert now.flag_computed == "HH"


def test_a_run_that_appears_is_read_by_the_limits_of_the_others(newer: Any) -> None:
    clinic = make_clinic()
    ada = make_staff(Role.ADMIN, clinic=clinic)
    given = {"acting_user": ada, "clinic": clinic, "analyte": "WBC", "unit": "10^3/uL", "low": "0"}
    limits.set_limit(**given, species="dog", high="999")
    limits.set_limit(**given, species="cat", high="1")
    request = make_order(clinic)
    with pytest.MonkeyPatch.context() as patch:
        changed_report(patch, lambda r: replace(r, identity=None))
        post(clinic, story()[1], request)
    patients.update_patient(acting_user=None, patient=request.patient, species="cat")

    def one_more(report: Report) -> Report:
        more = replace(report.runs[0], key="more")
        return replace(report, identity=None, runs=(*report.runs, more))

    newer(lambda patch: changed_report(patch, one_more))
    lines("replay", "--apply")
    assert lines("replay", "--compare") == []
