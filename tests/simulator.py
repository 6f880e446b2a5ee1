"""The simulator as a process of its own, as an integrator runs it."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Simulator:
    """`told` is what it printed with --json."""

    process: subprocess.Popen[str]
    told: dict[str, Any]

    @property
    def url(self) -> str:
        return str(self.told["base_url"])

    def state(self) -> dict[str, Any]:
        return requests.get(self.told["state_url"], timeout=10).json()

    def simulate(self, what: str, **form: object) -> dict[str, Any]:
        """What its page's forms do; fails with the page's own words."""
        answer = requests.post(
            f"{self.url}/simulate/{what}",
            data=form,
            headers={"Accept": "application/json"},
            timeout=30,
        )
        assert answer.status_code == 200, answer.text
        return answer.json()

    def mend(self) -> None:
        self.simulate("mend", number="all")


@contextlib.contextmanager
def running(folder: Path, **script: Any) -> Iterator[Simulator]:
    """A simulator with that script on a free port, in a folder without a project, and with an
    environment that names no settings, secrets or database."""
    path = folder / "simulator.json"
    path.write_text(json.dumps(script))
    process = subprocess.Popen(
        [
            *(sys.executable, str(ROOT / "manage.py"), "heska_simulator"),
            *("--port", "0", "--json", "--script", str(path)),
        ],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={"PATH": os.environ["PATH"], "DATABASE_URL": "postgresql://nobody@nowhere.invalid/x"},
    )
    try:
        assert process.stdout is not None
        yield Simulator(process, json.loads(process.stdout.readline()))
    finally:
        process.terminate()
        process.communicate(timeout=10)
