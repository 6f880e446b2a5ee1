"""What Django's own rules for passwords leave open of NIST SP 800-63B, 5.1.1.2: a common password
with something hung on to it, a repetition, a row of the keyboard. Length is what counts (12 at
least, no upper bound); nothing asks for capitals, digits or signs, and nothing expires."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Any

from django.contrib.auth.password_validation import CommonPasswordValidator
from django.core.exceptions import ValidationError

ROWS = ("abcdefghijklmnopqrstuvwxyz", "01234567890", "qwertyuiop", "asdfghjkl", "zxcvbnm")
HUNG_ON = re.compile(r"^[\W\d_]+|[\W\d_]+$")


class PredictablePasswordValidator:
    def __init__(self) -> None:
        self._common: set[str] = CommonPasswordValidator().passwords

    def validate(self, password: str, user: Any = None) -> None:
        """Raises ValidationError."""
        text = password.strip().casefold()
        core = HUNG_ON.sub("", text)
        if core in self._common or core == "":
            raise ValidationError(
                "This is a common password with digits or signs hung on to it, which is tried "
                "first. Take several unrelated words.",
                code="password_predictable",
            )
        if _repeats(text) or _new_after_rows(text) < 5:
            raise ValidationError(
                "This password repeats itself or follows the keyboard, which is tried first. Take "
                "several unrelated words.",
                code="password_predictable",
            )

    def get_help_text(self) -> str:
        return "Take no common password, no repetition and no row of the keyboard."


def _repeats(text: str) -> bool:
    """Made of one short piece again and again: `labclinlabclin`, `aaaaaaaaaaaa`."""
    return any(
        len(text) >= 2 * size and all(c == text[i % size] for i, c in enumerate(text))
        for size in range(1, len(text) // 2 + 1)
    )


def _new_after_rows(text: str) -> int:
    """How many characters are no continuation of the one before: the same again, or the next or the
    one before it in a row of the keyboard or of the alphabet."""
    steps = {pair for row in ROWS for pair in pairwise(row)}
    follows = steps | {(b, a) for a, b in steps}
    return 1 + sum(a != b and (a, b) not in follows for a, b in pairwise(text))
