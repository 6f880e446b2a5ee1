"""The figures of a run: on the terminal (`pytest -s`), and in the file that FAULTS_REPORT names."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from typing import Any

from tests.faults.oracle import Log


def report(name: str, log: Log, found: Sequence[str], **figures: Any) -> None:
    kinds = Counter(f.split(":")[0].split(" (")[0] for f in found)
    said = {
        "sent": len(log.sent),
        "acked": len(log.acked),
        "lost": kinds.pop("lost", 0),
        "duplicated": kinds.pop("twice", 0),
        "other faults": sum(kinds.values()),
        "answers": dict(sorted(log.statuses.items())),
        **{key: round(value, 1) for key, value in figures.items()},
    }
    line = f"{name}: " + ", ".join(f"{key} {value}" for key, value in said.items())
    print(line)
    if path := os.environ.get("FAULTS_REPORT"):
        with open(path, "a") as file:
            file.write(line + "\n")
