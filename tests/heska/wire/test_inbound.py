"""The contract's example messages, read into our own words; and messages that are unlike them."""

from __future__ import annotations

import copy
import json
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from integrations.heska.wire import strict
from integrations.heska.wire.inbound import (
    MAX_NODES,
    MAX_ROWS,
    NotUnderstood,
    messages,
    report,
)
from labs.report import Identity, Row
from tests.heska import examples

DENVER = ZoneInfo("America/Denver")


def read(value):
    return report(strict.loads(json.dumps(value).encode()), DENVER)


def one_row(**fields):
    """The row that a minimal message with that row is read into, and the whole report."""
    found = read({"Tests": [{"TestCode": "HHEM-1", "Results": [{"AnalyteCode": "X", **fields}]}]})
    return found.runs[0].rows[0], found


def test_example_06():
    found = read(examples.load("06"))
    assert found.message_id == "b0a0f8a2-2f0e-4a5f-9b0c-6d2f5f1c9a01"
    assert (found.lab_report_id, found.external_id) == ("VL-3F7K2M9Q", "94877")
    assert (found.version, found.status) == (1, "preliminary")
    assert found.reported_at == datetime(2026, 3, 2, 16, 31, 40, tzinfo=UTC)
    assert found.comments == ("Second panel still running",)
    assert found.identity == Identity(
        patient_id="P-10482",
        patient_name="Biscuit",
        species="CANINE",
        species_code="dog",
        breed="LABRE",
        sex="CM",
        sex_code="M",
        birth_date="2019-04-02",
        weight="31.40",
        weight_unit="kg",
        owner_id="C-2207",
        owner_first_name="Ana",
        owner_last_name="Example",
        doctor="Sample, Sam",
    )
    (run,) = found.runs
    assert run.key == "Hematology-94877002-2026-03-02T09:29:11"
    assert run.test_request_id == "VL-3F7K2M9Q-1"
    assert (run.test_code, run.test_name, run.category) == ("HHEM-1", "CBC", "Hematology")
    assert run.status == "final"
    assert run.run_at == datetime(2026, 3, 2, 16, 29, 11, tzinfo=UTC)
    assert (run.analyzer_model, run.analyzer_serial) == ("Element HT5", "HT5-001234")
    assert (run.analyzer_name, run.specimen_type) == ("Lab bench 1", "EDTA whole blood")
    assert run.comments == ("#: check for clots",)
    assert [row.code for row in run.rows] == ["WBC", "MON#", "PLT", "MPV", "RBC-HIST"]
    assert run.rows[0] == Row(
        sequence="1",
        code="WBC",
        name="WBC",
        value="6.13",
        unit="10^3/uL",
        low="4.00",
        high="16.53",
        range_text="4.00-16.53",
        range_kind="reference",
        status="final",
    )
    assert (run.rows[2].value, run.rows[2].critical_low, run.rows[2].flag) == ("< 2", "30", "L")
    assert run.rows[2].comments == ("Platelet clumps suspected",)
    assert (run.rows[3].value, run.rows[3].not_reported_reason) == ("*****", "not_calculable")
    assert run.rows[4].value is None
    assert run.rows[4].attachment
    assert run.rows[4].attachment_ids == ("A2",)
    (picture,), (pdf,) = run.files, found.files
    assert picture.content.startswith(b"\x89PNG")
    assert (picture.analyte_code, picture.warnings) == ("RBC-HIST", ())
    assert pdf.content.startswith(b"%PDF-1.4")
    assert (pdf.file_name, len(pdf.content), pdf.warnings) == ("report.pdf", 327, ())
    assert found.warnings == ()
    assert found.extra == {
        "/ClinicId": "clinic-0042",
        "/Patient/DateOfBirthEstimated": False,
        "/Doctor/DoctorId": "V-07",
        "/Tests/0/SampleId": "S-771",
        "/Tests/0/Analyzer/SoftwareVersion": "3.1",
        "/Tests/0/XFutureField/kept": True,
    }


def test_example_07():
    found = read(examples.load("07"))
    assert (found.version, found.status) == (3, "corrected")
    assert found.correction_reason == "Sample re-run after dilution"
    assert found.identity is None
    corrected, cancelled = found.runs
    assert corrected.key == read(examples.load("06")).runs[0].key
    assert [(row.sequence, row.code, row.value) for row in corrected.rows] == [("3", "PLT", "143")]
    assert (cancelled.status, cancelled.rows) == ("cancelled", ())
    assert cancelled.comments == ("Insufficient sample",)


def test_example_08():
    found = read(examples.load("08"))
    assert (found.lab_report_id, found.external_id) == ("", "94912")
    # As typed at the analyzer, with its trailing space.
    assert found.identity == Identity(
        patient_id="1",
        patient_name="BISCUIT ",
        species="Canine",
        species_code="dog",
        doctor="Sample, Sam",
    )
    (run,) = found.runs
    assert (run.test_code, run.test_name) == ("", "Blood gas, electrolytes, metabolic")
    # No zone: the clinic's.
    assert run.run_at == datetime(2026, 3, 3, 3, 10, 55, tzinfo=UTC)
    assert run.run_at_text == "2026-03-02T20:10:55"
    assert {row.range_kind for row in run.rows[:2]} == {"measuring"}
    assert [row.not_reported_reason for row in run.rows] == [
        "",
        "",
        "quality_control",
        "not_calculable",
    ]


def test_names_are_read_with_case_and_underscores_ignored():
    def respell(value):
        if isinstance(value, dict):
            return {
                "_".join(k).lower() if len(k) < 4 else k[0].lower() + k[1:]: respell(v)
                for k, v in value.items()
            }
        return [respell(v) for v in value] if isinstance(value, list) else value

    plain, respelt = read(examples.load("06")), read(respell(examples.load("06")))
    assert respelt.runs == plain.runs
    assert respelt.identity == plain.identity


@pytest.mark.parametrize("name", ["Results", "LabReports", "labReports", "lab_reports"])
def test_arrays_and_wrappers_hold_several_messages(name):
    assert messages([1, 2]) == [1, 2]
    assert messages([]) == []
    assert messages({name: [{"a": 1}]}) == [{"a": 1}]
    assert messages({name: {"a": 1}}) is None
    assert messages({"Tests": []}) is None
    assert messages({name: [], "Tests": []}) is None


@pytest.mark.parametrize(
    "value", [None, True, "x", {}, {"Tests": None}, {"Tests": []}, {"Tests": {}}, {"Tests": [1]}]
)
def test_json_without_a_result_is_not_understood(value):
    with pytest.raises(NotUnderstood):
        read(value)


def test_limits_of_one_message():
    with pytest.raises(NotUnderstood, match=f"{MAX_ROWS} analytes"):
        read({"Tests": [{"Results": [{}] * (MAX_ROWS + 1)}]})
    with pytest.raises(NotUnderstood, match=f"{MAX_NODES} values"):
        read({"Tests": [{}], "x": [1] * MAX_NODES})


@pytest.mark.parametrize(
    ("word", "status"),
    [
        ("Final", "final"),
        ("FINAL ", "final"),
        ("partial", "preliminary"),
        ("Amended", "corrected"),
        ("Canceled", "cancelled"),
        ("Complete", "final"),
        # A word that nobody knows never closes a test.
        ("Verified by robot", "preliminary"),
        (7, "preliminary"),
    ],
)
def test_status_words(word, status):
    found = read({"Tests": [{"Status": word}]})
    assert found.runs[0].status == status
    if word in (7, "Verified by robot"):
        assert found.extra["/Tests/0/Status"] == str(word)
        assert found.warnings


def test_a_test_without_a_status_has_the_messages():
    assert read({"Status": "Cancelled", "Tests": [{}]}).runs[0].status == "cancelled"
    assert read({"Tests": [{}]}).runs[0].status == "final"


@pytest.mark.parametrize(
    "version", ["--5", "-", "", " ", "5-5", "1e3", 1.5, True, [], "٣", "9" * 30, 10**12]
)
def test_a_version_that_is_no_small_number_is_kept_and_breaks_nothing(version):
    found = read({"ReportVersion": version, "Tests": [{}]})
    assert found.version == 0
    if version != []:
        assert found.extra["/ReportVersion"] == (version if version is True else str(version))


def test_versions():
    for version in (3, "3", " 3 ", "03"):
        assert read({"ReportVersion": version, "Tests": [{}]}).version == 3


@pytest.mark.parametrize(
    "text",
    [
        "yesterday",
        "0001-01-01T00:00:00",
        "0001-01-01",
        "9999-12-31T23:59:59.9999999",
        "9999-12-31T23:59:59-12:00",
        "0001-01-02T00:00:00+14:00",
        "2026-02-30T00:00:00Z",
        "2026-03-02T25:00:00Z",
    ],
)
def test_a_time_that_no_clock_shows_is_none_and_kept(text):
    """.NET writes its first and last moment for none; the last one broke the database driver."""
    found = read({"ReportedAt": text, "Tests": [{"RunAt": text}]})
    assert found.reported_at is None
    assert found.extra["/ReportedAt"] == text
    assert found.runs[0].run_at is None
    assert found.runs[0].run_at_text == text


def test_date_of_birth_of_the_year_one_is_none():
    found = read({"Patient": {"DateOfBirth": "0001-01-01T00:00:00"}, "Tests": [{}]})
    assert found.identity.birth_date == ""
    assert found.extra["/Patient/DateOfBirth"] == "0001-01-01T00:00:00"


@pytest.mark.parametrize(
    ("value", "text", "literal"),
    [
        (9.0, "9.0", True),
        ("6.13", "6.13", True),
        (" 6.13 ", " 6.13 ", True),
        (None, None, True),
        ({}, None, True),
        ("", "", True),
        (True, "true", False),
        (False, "false", False),
        ([1, "a"], '[1,"a"]', False),
        ({"a": None}, '{"a":null}', False),
    ],
)
def test_the_literal_of_a_value(value, text, literal):
    row, _ = one_row(Value=value)
    assert (row.value, row.literal) == (text, literal)


def test_a_value_that_is_an_object_is_kept_leaf_by_leaf_too():
    _, found = one_row(Value={"low": 1.50, "words": ["a"]})
    assert found.extra == {
        "/Tests/0/Results/0/Value/low": "1.5",
        "/Tests/0/Results/0/Value/words/0": "a",
    }


def test_a_qualifier_apart_from_its_value_is_put_to_it():
    row, found = one_row(Value="2", Qualifier="<")
    assert row.value == "< 2"
    assert found.warnings
    row, found = one_row(Value="< 2", Qualifier="<", NumericValue=2)
    assert (row.value, found.extra, found.warnings) == ("< 2", {}, ())
    row, found = one_row(Value="< 2", Qualifier=">")
    assert row.value == "< 2"
    assert found.extra == {"/Tests/0/Results/0/Qualifier": ">"}


def test_a_numeric_value_that_says_something_else_is_kept():
    _, found = one_row(Value="6,62", NumericValue=662)
    assert found.extra == {"/Tests/0/Results/0/NumericValue": "662"}


def test_not_reported_without_a_reason_makes_no_number():
    row, _ = one_row(Value="0.00", ValueType="NotReported")
    assert row.not_reported_reason == "missing"
    row, found = one_row(Value="0.00", NotReportedReason="Analyzer on fire")
    assert row.not_reported_reason == "analyzer on fire"
    assert found.extra["/Tests/0/Results/0/NotReportedReason"] == "Analyzer on fire"


def test_the_kind_of_range():
    assert one_row(ReferenceType="Reportable")[0].range_kind == "measuring"
    assert one_row(ReferenceType="Reference")[0].range_kind == "reference"
    row, found = one_row(ReferenceType="Therapeutic")
    assert row.range_kind == "unknown"
    assert found.extra["/Tests/0/Results/0/ReferenceType"] == "Therapeutic"


def test_the_key_of_a_run_without_an_id_is_code_serial_and_time():
    test = {"TestCode": "HHEM-1", "RunAt": "2026-03-02T09:29:11", "Analyzer": {"SerialNumber": "S"}}
    assert read({"Tests": [test]}).runs[0].key == "HHEM-1|S|2026-03-02T09:29:11"
    spaced = read({"Tests": [{"TestRunId": "r1"}, {"TestRunId": "r1 "}]})
    assert len({run.key for run in spaced.runs}) == 2
    assert len({run.key for run in read({"Tests": [{}, {}]}).runs}) == 2


def test_absent_blocks_are_absent_and_empty_ones_are_there():
    assert read({"Tests": [{}]}).identity is None
    assert read({"Patient": None, "Tests": [{}]}).identity is None
    assert read({"Patient": {}, "Tests": [{}]}).identity == Identity()
    assert read({"Doctor": {"Name": "Sam"}, "Tests": [{}]}).identity == Identity(
        animal=False, doctor="Sam"
    )
    blank = read({"Patient": {"Name": "  ", "PatientId": None}, "Tests": [{}]}).identity
    assert (blank.patient_name, blank.patient_id) == ("", "")


@pytest.mark.parametrize("change", ["base64", "size", "hash", "wrapped", "absent"])
def test_attachments_are_checked_and_kept(change):
    value = copy.deepcopy(examples.load("06"))
    file = value["Attachments"][0]
    if change == "base64":
        file["Data"] = "no base64 at all!"
    elif change == "size":
        file["SizeBytes"] = 326
    elif change == "hash":
        file["Sha256"] = "0" * 64
    elif change == "wrapped":
        file["Data"] = "\r\n".join(file["Data"][n : n + 76] for n in range(0, 400, 76))
    else:
        del file["Data"]
    found = read(value)
    (pdf,) = found.files
    if change == "wrapped":
        assert (len(pdf.content), pdf.warnings) == (327, ())
    else:
        assert pdf.warnings
    if change == "base64":
        assert pdf.content == b"no base64 at all!"
    if change == "size":
        assert found.extra["/Attachments/0/SizeBytes"] == "326"
    if change == "hash":
        assert found.extra["/Attachments/0/Sha256"] == "0" * 64


def test_nul_and_surrogates_are_marked_and_warned_of():
    raw = rb'{"Patient": {"Name": "Bis\u0000cuit\ud800"}, "Tests": [{"X\u0000": "y\udfff"}]}'
    found = report(strict.loads(raw), DENVER)
    assert found.identity.patient_name == "Bis\ufffdcuit\ufffd"
    assert found.extra == {"/Tests/0/X\ufffd": "y\ufffd"}
    assert found.warnings == ("Name holds characters that cannot be shown.",)
