"""`python deploy/floors.py [LOCK]`: is what the lock installs above each known hole?

Status 1, and a line for each package that is below the floor of deploy/floors.txt.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent


def parts(version: str) -> tuple[int, ...]:
    return tuple(int(each) for each in re.findall(r"\d+", version))


def below(lock: str, floors: str) -> list[str]:
    """One sentence for each package that is locked below its floor, or whose version can't be
    read."""
    locked = {
        name.lower().replace("_", "-"): version
        for name, version in re.findall(r"^([A-Za-z0-9._-]+)(?:\[[^]]*\])?==(\S+)", lock, re.M)
    }
    assert locked, "the lock names no package"
    found = []
    for line in floors.splitlines():
        if line.strip() and not line.startswith("#"):
            name, floor, why = line.split(None, 2)
            if name in locked and parts(locked[name]) < parts(floor):
                found.append(f"{name} {locked[name]} is below {floor}: {why}")
    return found


if __name__ == "__main__":
    lock = Path(sys.argv[1]) if len(sys.argv) > 1 else HERE.parent / "requirements.txt"
    wrong = below(lock.read_text(), (HERE / "floors.txt").read_text())
    print("\n".join(wrong))
    sys.exit(bool(wrong))
