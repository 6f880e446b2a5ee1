"""The core knows no word of a vendor's: neither its package nor a distinctive name of its wire."""

from __future__ import annotations

import re
import tokenize
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# Distinctive names only: `Status` or `Name` are everybody's. LabReportId is not looked for as
# `lab_report_id`, which is the core's own word.
WIRE = [
    "AbnormalFlag",
    "AnalyteCode",
    "AnalyteName",
    "AttachmentIds",
    "HeskaReportId",
    "LabReportId",
    "LabReports",
    "LabResultEndPoint",
    "MicrochipNumber",
    "NotReportedReason",
    "NumericValue",
    "Ocp-Apim-Subscription-Key",
    "ReferenceHigh",
    "ReferenceLow",
    "ReferenceText",
    "ReferenceType",
    "ReportVersion",
    "SampleType",
    "TestRequestId",
    "TestRunId",
    "Idempotency-Key",
    "unmatchedlabresults",
    "integrations.heska",
    "integrations/heska",
]
CORE = ["labs", "templates"]
SUFFIXES = {".py", ".html", ".js", ".css", ".txt"}
WORD = re.compile("|".join(map(re.escape, WIRE)))


def files() -> list[Path]:
    return [
        path
        for folder in CORE
        for path in sorted((ROOT / folder).rglob("*"))
        if path.suffix in SUFFIXES and "__pycache__" not in path.parts
    ]


def code_of(path: Path) -> str:
    """The text without comments and docstrings: they may explain with the contract's own words."""
    if path.suffix != ".py":
        return path.read_text(encoding="utf-8")
    kept, at_start = [], True
    with path.open("rb") as file:
        for token in tokenize.tokenize(file.readline):
            if token.type == tokenize.COMMENT:
                continue
            if token.type == tokenize.STRING and at_start and token.string.endswith('"""'):
                continue
            if token.type not in (tokenize.NL, tokenize.ENCODING):
                at_start = token.type in (tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT)
            kept.append(token.string)
    return "".join(kept)


def test_there_is_something_to_look_at() -> None:
    assert len(files()) > 50


@pytest.mark.parametrize("path", files(), ids=lambda path: str(path.relative_to(ROOT)))
def test_no_vendor_word_in_the_core(path: Path) -> None:
    found = sorted(set(WORD.findall(code_of(path))))
    assert not found, f"{path.relative_to(ROOT)} names {found}: that belongs in the wire module"


def test_the_wiring_names_the_package_and_nothing_of_its_wire() -> None:
    wire = re.compile("|".join(re.escape(word) for word in WIRE if "heska" not in word))
    for path in sorted((ROOT / "pims").rglob("*.py")):
        assert not wire.findall(code_of(path)), path


def test_inside_the_integration_only_the_wire_module_knows_the_fields() -> None:
    fields = re.compile("|".join(re.escape(word) for word in WIRE if word[0].isupper()))
    package = ROOT / "integrations" / "heska"
    for path in sorted(package.rglob("*.py")):
        inside = path.relative_to(package).parts[0]
        if inside not in ("wire", "simulator", "demo"):
            assert not fields.findall(code_of(path)), path
