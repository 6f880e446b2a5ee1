from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.demo import Demo, running


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """The demo of `make run`, once for all browser tests."""
    with running(Path(tmp_path_factory.mktemp("demo"))) as started:
        yield started


@pytest.fixture(scope="session")
def browser(chromium: str) -> Iterator[Any]:
    """The system's chromium: Playwright's own builds are not downloaded."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield launched
        launched.close()


@pytest.fixture
def page(browser: Any) -> Iterator[Any]:
    """A laptop's fresh window; a page error or a breach of the content policy fails the test."""
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    opened = context.new_page()
    opened.set_default_timeout(10_000)
    said: list[str] = []
    opened.on("pageerror", lambda error: said.append(str(error)))
    opened.on(
        "console",
        lambda line: said.append(line.text) if "Content Security Policy" in line.text else None,
    )
    yield opened
    context.close()
    assert said == []
