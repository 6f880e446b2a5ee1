"""What tests in more than one room share."""

from __future__ import annotations

import os
import shutil

import pytest


@pytest.fixture(scope="session")
def chromium() -> str:
    """The path of an installed browser, for Playwright's `executable_path`."""
    path = find_chromium()
    assert path, "tests that use a browser are marked e2e, and skipped where there is none"
    return path


def find_chromium() -> str | None:
    """CHROMIUM where it is set, else what the system calls it."""
    names = [os.environ.get("CHROMIUM", ""), "chromium", "chromium-browser", "google-chrome"]
    return next((path for name in names if name and (path := shutil.which(name))), None)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    in_browser = [item for item in items if item.get_closest_marker("e2e")]
    if not in_browser or find_chromium():
        return
    if os.environ.get("REQUIRE_BROWSER") == "1":
        raise pytest.UsageError("REQUIRE_BROWSER=1, but there is no chromium; name it in CHROMIUM.")
    for item in in_browser:
        item.add_marker(pytest.mark.skip(reason="no chromium on this machine"))
