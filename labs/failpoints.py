"""Named places where a test can make a process die as if by `kill -9` (tests/faults).

Inert unless FAILPOINT was in the environment when the process started, which `check --deploy`
refuses (pims.E006). It names a file; the name in that file is where the next process to come by
ends, and the file goes with it: one death each time the file is written.
"""

from __future__ import annotations

import os
from pathlib import Path

_armed = os.environ.get("FAILPOINT", "")


def failpoint(name: str) -> None:
    """Nothing; or the end of this process, with no chance for anybody to clean up."""
    if _armed:
        _die_if_asked(name, Path(_armed))


def _die_if_asked(name: str, file: Path) -> None:
    try:
        if file.read_text() != name:
            return
        file.unlink()  # of several at once, the one that takes it away is the one to die
    except FileNotFoundError:
        return
    os._exit(70)
