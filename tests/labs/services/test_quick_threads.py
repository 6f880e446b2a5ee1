"""Statements that are composed once, by whichever thread comes first."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator

import pytest

from labs.models import LabRequest
from labs.services.intake.quick import Compiled, Records


@pytest.fixture
def hasty() -> Iterator[None]:
    """Threads change places all the time."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def query() -> Compiled:
    return Records(
        LabRequest.objects.filter(pk=0), clinic=(), patient=(), patient__owner=(), requested_by=()
    )


def test_threads_that_compose_at_once_compose_the_same(hasty: None) -> None:
    right = query()._compose(1)[0]
    for _ in range(30):
        shared, start = query(), threading.Barrier(8)
        composed: list[object] = []

        def compose(
            shared: Compiled = shared,
            start: threading.Barrier = start,
            composed: list[object] = composed,
        ) -> None:
            start.wait()
            try:
                composed.append(shared._compose(1)[0])
            except Exception as error:
                composed.append(error)

        threads = [threading.Thread(target=compose) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert composed == [right] * 8
        assert shared._compose(1)[0] == right
