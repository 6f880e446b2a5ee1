"""The benchmark of the pages: that it runs, and at full size what it promises."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
FULL = os.environ.get("FULL") == "1"
# Django's own lists of the same rows, measured beside ours.
BASELINE = "admin: "


def bench(*arguments: str) -> dict[str, Any]:
    kept = {key: os.environ[key] for key in ("PATH", "HOME", "LANG", "TMPDIR") if key in os.environ}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "bench.pages", "--json", *arguments],
        cwd=ROOT,
        env=kept,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_each_page_answers_and_asks_as_often_with_more_behind_it() -> None:
    found = bench("--results", "300", "900", "--patients", "120", "360", "--rounds", "1")
    assert len(found["pages"]) > 20
    for name, (few, many) in found["pages"].items():
        # What is looked for from every page is shown by another one.
        wanted = 302 if name == "search, on every page" else 200
        assert few["status"] == many["status"] == wanted, name
        # A search with wrong letters, or of two words, asks once more.
        assert many["statements"] <= few["statements"] + (
            2 if "search" in name or name == "typeahead" else 0
        ), name


@pytest.mark.skipif(not FULL, reason="FULL=1: a quarter of an hour, and a machine of its own")
def test_a_million_results_cost_as_much_as_ten_thousand() -> None:
    found = bench()
    slow = {
        name: (few["p95"], many["p95"])
        for name, (few, many) in found["pages"].items()
        if not name.startswith(BASELINE) and (many["p95"] > 100 or many["p50"] > 1.5 * few["p50"])
    }
    assert slow == {}
