from __future__ import annotations

from labs.models import Flag
from labs.queries.words import FLAG_WORDS
from labs.services.intake.typed import Understood

SIGNS = {"<": "less than ", "<=": "at most ", ">": "more than ", ">=": "at least "}


def understood_words(read: Understood) -> str:
    """What was made of a typed value, in words: `the number 6.62, high`, `a text, not a number`."""
    stored = read.stored
    if not read.line.value.strip():
        return ""
    if stored["not_reported_reason"]:
        return "not reported"
    if not stored["number"]:
        return "a text, not a number: no flag, and in no trend"
    flag = FLAG_WORDS.get(Flag(stored["flag_computed"]), "")
    words = f"{SIGNS.get(stored['qualifier'], 'the number ')}{stored['number']}"
    return f"{words}, {flag}" if flag else f"{words}, not assessed: no range"
