"""One strict JSON reader. Numbers stay the text they were."""

from __future__ import annotations

import json
import re
from collections import Counter
from typing import Any

MAX_DEPTH = 64
ESCAPED = re.compile(r"\\.", re.DOTALL)
BRACKET = re.compile(r"[\[\]{}]")
UNSAFE = re.compile("[\x00\ud800-\udfff]")


class NotJson(Exception):
    """The bytes are no JSON that can be read; `str()` says why, for people."""


class Ambiguous(Exception):
    """It is JSON, but a key stands twice in one object: which one holds nobody can say."""


class Number(str):
    """A number as it was written: `9.0` is not `9`."""

    __slots__ = ()


def loads(raw: bytes) -> Any:
    """Objects, lists, str, Number, bool and None. Raises NotJson, Ambiguous.

    UTF-8 only, a byte order mark is tolerated, no NaN or Infinity, at most 64 levels deep (counted
    here: the interpreter's own limit moves with its version).
    """
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise NotJson(f"Byte {error.start + 1} is not UTF-8.") from None
    _limit_depth(text)
    twice: list[str] = []

    def no_key_twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) != len(pairs) and not twice:
            ((key, _),) = Counter(key for key, _ in pairs).most_common(1)
            twice.append(key)
        return found

    try:
        value = json.loads(
            text,
            parse_int=Number,
            parse_float=Number,
            parse_constant=_no_constant,
            object_pairs_hook=no_key_twice,
        )
    except json.JSONDecodeError as error:
        raise NotJson(_in_words(error, text)) from None
    # Judged last: a body that breaks off is no JSON, whatever stands twice in its beginning.
    if twice:
        raise Ambiguous(f"The key {safe(twice[0])!r} stands twice in one object.")
    return value


def _in_words(error: json.JSONDecodeError, text: str) -> str:
    if not text.strip():
        return "The body is empty."
    if error.msg.startswith("Unterminated string"):
        return "It ends in the middle of a string."
    if error.pos >= len(text.rstrip()):
        return "It ends too early."
    return f"It stops being JSON at line {error.lineno}, column {error.colno} ({error.msg})."


def _no_constant(name: str) -> Any:
    raise NotJson(f"{name} is not JSON.")


def _limit_depth(text: str) -> None:
    if text.count("{") + text.count("[") <= MAX_DEPTH:
        return  # so few cannot be nested any deeper, wherever they stand
    if "\\" in text:
        text = ESCAPED.sub("", text)
    # Now every quote begins or ends a string, so what lies outside strings is every other part.
    outside = "".join(text.split('"')[::2])
    depth = 0
    for bracket in BRACKET.findall(outside):
        depth += 1 if bracket in "[{" else -1
        if depth > MAX_DEPTH:
            raise NotJson(f"It is nested more than {MAX_DEPTH} levels deep.")


def dumps(value: Any) -> bytes:
    """The bytes of one part of an array, for its own journal row. Numbers as they were written."""
    return _dump(value).encode()


def _dump(value: Any) -> str:
    if isinstance(value, Number):
        return str(value)
    if isinstance(value, dict):
        return "{" + ",".join(f"{json.dumps(k)}:{_dump(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(_dump, value)) + "]"
    return json.dumps(value)


def safe(text: str) -> str:
    """Text that every database takes: NUL and lone surrogates, legal in JSON, become U+FFFD. The
    journal keeps the bytes as they were."""
    return text if text.isascii() and "\x00" not in text else UNSAFE.sub("\ufffd", text)
