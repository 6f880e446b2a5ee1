"""Only what says of itself that it is quality control."""

from __future__ import annotations

import pytest

from labs.matching.quality import is_quality_control


@pytest.mark.parametrize(
    ("typed", "described"),
    [
        ({"patient_name": "QC"}, []),
        ({"patient_name": "qc 2"}, []),
        ({"patient_name": "Quality-Control Level II"}, []),
        ({"patient_name": "CALIBRATOR LOW"}, []),
        ({"patient_id": "CONTROL 1"}, []),
        ({"patient_name": "QC", "patient_id": "4711"}, []),
        ({"patient_name": "QC", "owner_last_name": "QC"}, []),
        ({}, ["CBC", "Quality Control", ""]),
    ],
)
def test_it_says_so(typed: dict[str, str], described: list[str]) -> None:
    assert is_quality_control(typed, described)


@pytest.mark.parametrize(
    ("typed", "described"),
    [
        ({}, []),
        ({"patient_name": ""}, ["CBC", "Whole blood"]),
        ({"patient_name": "Control Freak"}, []),
        ({"patient_name": "Calibre"}, []),
        ({"patient_name": "TEST"}, []),
        ({"patient_name": "WATER"}, []),
        # A cat of that name has an owner; an id left over from a control does not make it one.
        ({"patient_name": "QC", "owner_last_name": "Smith"}, []),
        ({"patient_name": "Bella", "patient_id": "QC"}, []),
        ({"patient_name": "Bella"}, ["Quality Control"]),
    ],
)
def test_it_does_not(typed: dict[str, str], described: list[str]) -> None:
    assert not is_quality_control(typed, described)
