"""The contract's example bodies, as they are published."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parents[2] / "docs" / "contract" / "examples"


def raw(start: str) -> bytes:
    """The bytes of the example whose file begins with that number."""
    (path,) = FOLDER.glob(f"{start}-*")
    return path.read_bytes()


def load(start: str) -> Any:
    return json.loads(raw(start))
