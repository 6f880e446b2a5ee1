"""pytest-xdist groups nothing under a pytest that it does not know, and nothing says so: then each
process started an installation of its own, and the suite took minutes more."""

from __future__ import annotations

import pytest


@pytest.mark.xdist_group("together")
def test_what_is_marked_to_run_in_one_process_is_kept_there(request: pytest.FixtureRequest) -> None:
    if getattr(request.config.option, "loadgroup", False):
        assert request.node.nodeid.endswith("@together")
