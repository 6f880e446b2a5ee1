"""Named places where a test can make a process die as if by `kill -9` (tests/faults).

Inert unless FAILPOINT was in the environment when the process started, which `check --deploy`
refuses (pims.E006): `FAILPOINT=committed` dies at the first passing, `committed:3` at the third.
"""

from __future__ import annotations

import os
from itertools import count

_armed, _, _nth = os.environ.get("FAILPOINT", "").partition(":")
_passings = count(1)


def failpoint(name: str) -> None:
    """Nothing; or the end of this process, with no chance for anybody to clean up."""
    if name == _armed and next(_passings) >= int(_nth or 1):
        os._exit(70)
