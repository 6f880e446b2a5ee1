"""Small by default; FULL=1 in the environment for the sizes that the project promises."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults import stack as stacks
from tests.faults.oracle import Log

FULL = os.environ.get("FULL") == "1"


@pytest.hookimpl(tryfirst=True)  # before pytest-xdist looks at the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """One process runs all of these, where pytest-xdist is told so: two installations on two cores
    would only wait for each other."""
    here = Path(__file__).parent
    for item in items:
        own = {"installation", "yard"} & set(getattr(item, "fixturenames", ()))
        if here in item.path.parents and own:
            item.add_marker(pytest.mark.faults)
            item.add_marker(pytest.mark.xdist_group("faults"))
            if sys.platform != "linux":
                item.add_marker(pytest.mark.skip(reason="finds processes by /proc"))


@pytest.fixture(scope="session")
def installation() -> Iterator[stacks.Stack]:
    with stacks.running(requests=400 if FULL else 12) as running:
        yield running


@pytest.fixture
def stack(installation: stacks.Stack) -> Iterator[stacks.Stack]:
    """Alive, and with no messages."""
    installation.postgres.wait()
    installation.web.revive()
    installation.clear()
    yield installation
    installation.web.revive()


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Log]:
    opened = Log(tmp_path / "oracle.jsonl")
    yield opened
    opened.close()


@pytest.fixture
def full() -> bool:
    return FULL
