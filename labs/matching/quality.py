"""Whether a run says of itself that it was quality control or calibration. Pure.

Only what says so: a run without a name may be anybody's.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from labs.matching.reading import plain

# `QC`, `QC 2`, `Quality control level II`, `Calibrator low`: the whole field, so that a cat whom
# somebody has called Control Freak is none.
SAYS_SO = re.compile(
    r"(i?qc|quality control|control|calibration|calibrator)"
    r"( (level|lot|run|test|sample|material|fluid|solution))?"
    r"( ([0-9]{1,8}|i{1,3}|low|normal|high))?"
)
# What a query can look for before the whole is read.
HINTS = ("qc", "control", "calib")


def is_quality_control(typed: Mapping[str, str], described: Iterable[str]) -> bool:
    """By the name or the id that was typed, with nobody else as the owner, or by how the analyzer
    describes the run (test, category, specimen)."""
    owner = typed.get("owner_last_name", "")
    named = [typed.get(key, "") for key in ("patient_name", "patient_id")]
    if any(map(_says_so, named)) and (not plain(owner) or _says_so(owner)):
        # An id of QC beside a name of somebody is that somebody's, run after a control.
        others = [text for text in named if plain(text) and not _says_so(text)]
        return not any(re.search(r"[a-z]{2}", plain(text)) for text in others)
    return any(map(_says_so, described)) and not plain(typed.get("patient_name", ""))


def _says_so(text: str) -> bool:
    return bool(SAYS_SO.fullmatch(plain(text)))
