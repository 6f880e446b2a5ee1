"""Which orderable panel a run is, and which requested test it answers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from labs.models import Panel, RequestedTest, TestRun
from labs.report import Run
from labs.services.intake.identity import same_text


def panel_of(run: Run | TestRun, panels: Iterable[Panel]) -> Panel | None:
    """By the test's code, else by its exact name; never by likeness."""
    for panel in panels:
        if run.test_code and panel.code == run.test_code:
            return panel
    for panel in panels:
        if run.test_name and same_text(panel.name, run.test_name):
            return panel
    return None


def requested_test(run: Run, tests: Sequence[RequestedTest]) -> RequestedTest | None:
    """The test that a run answers: by the id that we gave it, else by its panel. None for a run
    that nobody asked for; it is filed and shown all the same."""
    for test in tests:
        if run.test_request_id and test.test_request_id == run.test_request_id:
            return test
    panel = panel_of(run, [test.panel for test in tests])
    return next((test for test in tests if test.panel == panel), None) if panel else None
