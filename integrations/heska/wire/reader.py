"""Takes fields out of a JSON object and keeps account of every leaf that nobody took."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from integrations.heska.wire.strict import dumps, safe

SMALL_NUMBER = re.compile(r"\s*-?\d{1,9}\s*", re.ASCII)


def normal(key: str) -> str:
    """`LabReportId`, `labReportId` and `lab_report_id` are one name to us."""
    # The same names come in every row; what is longer is no name of ours, and is not remembered.
    return _normal(key) if len(key) <= 32 else key.replace("_", "").casefold()


@lru_cache(maxsize=1024)
def _normal(key: str) -> str:
    return key.replace("_", "").casefold()


def _names(keys: tuple[str, ...]) -> dict[str, str]:
    """The key that each name stands under, the first one where several are one name."""
    # All rows of a panel have the same keys; an object with more or longer ones is none of them.
    return _few_names(keys) if len(keys) <= 32 and max(map(len, keys)) <= 32 else _find(keys)


def _find(keys: tuple[str, ...]) -> dict[str, str]:
    found: dict[str, str] = {}
    for key in keys:
        found.setdefault(normal(key), key)
    return found


_few_names = lru_cache(maxsize=256)(_find)


@dataclass
class Account:
    """What no field took, by JSON pointer (RFC 6901), and sentences on what was odd."""

    extra: dict[str, Any] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)

    def keep(self, pointer: str, value: Any) -> None:
        if isinstance(value, dict) and value:
            for key, inner in value.items():
                self.keep(f"{pointer}/{escape(key)}", inner)
        elif isinstance(value, list) and value:
            for position, inner in enumerate(value):
                self.keep(f"{pointer}/{position}", inner)
        else:
            self.extra[pointer] = safe(str(value)) if isinstance(value, str) else value


def escape(key: str) -> str:
    return safe(key).replace("~", "~0").replace("/", "~1")


class Reader:
    """One object on its way to being read. Use as a context manager: on leaving, what was not taken
    is kept."""

    def __init__(self, value: dict[str, Any], pointer: str, account: Account) -> None:
        self._value = value
        self._left = dict(value)
        self._keys = _names(tuple(value)) if value else {}
        self._pointer = pointer
        self._account = account

    def __enter__(self) -> Reader:
        return self

    def __exit__(self, *_: object) -> None:
        for key, value in self._left.items():
            self._account.keep(f"{self._pointer}/{escape(key)}", value)

    def _take(self, name: str) -> tuple[str, Any]:
        key = self._keys.get(_normal(name))
        return (name, None) if key is None else (key, self._left.pop(key, None))

    def _put_back(self, key: str, value: Any) -> None:
        self._left[key] = value

    def keep(self, *names: str) -> None:
        """What those fields hold was looked at, but no field of ours holds it: keep it too."""
        for name in names:
            key = self._keys.get(normal(name))
            if key is not None:
                self._left[key] = self._value[key]

    def literal(self, name: str) -> tuple[str | None, bool]:
        """The value as text and whether it was a string or a number: `true`, an object or a list
        come as their literal with false. None where it is absent, null or an empty object."""
        key, value = self._take(name)
        if value is None or value == {}:
            return None, True
        if isinstance(value, str):
            text = safe(str(value))
            if text != value:
                self._account.warnings.append(f"{name} holds characters that cannot be shown.")
                # The exact text is in the journal's bytes; the marked one is what a field can hold.
            return text, True
        if isinstance(value, bool):
            return str(value).lower(), False
        self._account.keep(f"{self._pointer}/{escape(key)}", value)
        return safe(dumps(value).decode()), False

    def text(self, name: str) -> str:
        """As `typed`, trimmed."""
        return self.typed(name).strip()

    def typed(self, name: str) -> str:
        """A string or number as text, as it was typed; "" where absent, null or blank. Anything odd
        is left to be kept."""
        key, value = self._take(name)
        if value is None:
            return ""
        if isinstance(value, str):
            if type(value) is str and value.isascii() and value.isprintable():
                return "" if value.isspace() else value
            text = safe(str(value))
            if text != value:
                self._account.warnings.append(f"{name} holds characters that cannot be shown.")
            return text if text.strip() else ""
        self._put_back(key, value)
        return ""

    def word(self, name: str, table: dict[str, str]) -> str | None:
        """What a code table makes of a text; "" where absent. A word that is not in the table is
        kept, with a warning: None."""
        key, value = self._take(name)
        if value is None:
            return ""
        known = table.get(" ".join(value.casefold().split())) if isinstance(value, str) else None
        if known is None:
            self._put_back(key, value)
            self._account.warnings.append(f"{name} is {_short(value)[:50]}, which is not known.")
        return known

    def redundant(self, name: str, known: str) -> None:
        """Take a field that only says again what we know; anything else it says is kept."""
        key, value = self._take(name)
        if value is not None and not (isinstance(value, str) and value.strip() == known):
            self._put_back(key, value)

    def number(self, name: str) -> int | None:
        """A small whole number, else None and kept."""
        key, value = self._take(name)
        if isinstance(value, str) and SMALL_NUMBER.fullmatch(value):
            return int(value)
        if value is not None:
            self._put_back(key, value)
        return None

    def texts(self, name: str) -> tuple[str, ...]:
        """A list of strings, or one string. Members that are neither are kept."""
        key, value = self._take(name)
        if value is None:
            return ()
        members = value if isinstance(value, list) else [value]
        if not all(isinstance(member, str) for member in members):
            self._put_back(key, value)
            return ()
        return tuple(safe(str(member)) for member in members)

    def child(self, name: str) -> Reader | None:
        """An object in a field; None where it is absent, null or something else (then kept)."""
        key, value = self._take(name)
        if isinstance(value, dict):
            return Reader(value, f"{self._pointer}/{escape(key)}", self._account)
        if value is not None:
            self._put_back(key, value)
        return None

    def children(self, name: str) -> list[Reader]:
        """The objects of a list; members that are none are kept."""
        key, value = self._take(name)
        if value is None:
            return []
        if not isinstance(value, list):
            self._put_back(key, value)
            return []
        readers = []
        for position, member in enumerate(value):
            pointer = f"{self._pointer}/{escape(key)}/{position}"
            if isinstance(member, dict):
                readers.append(Reader(member, pointer, self._account))
            else:
                self._account.keep(pointer, member)
        return readers

    @property
    def account(self) -> Account:
        return self._account


def _short(value: Any) -> str:
    if isinstance(value, dict):
        return "{…}"
    return "[…]" if isinstance(value, list) else f"“{safe(str(value))}”"
