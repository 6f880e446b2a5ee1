from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from django.db.models import QuerySet

T = TypeVar("T")
PAGE = 50


@dataclass(frozen=True, kw_only=True)
class Page(Generic[T]):
    """One page of a list, without counting all of it: a count of a large table costs more than the
    page. `number` starts at 1."""

    rows: list[T]
    number: int
    more: bool
    size: int = PAGE

    @property
    def first(self) -> int:
        return (self.number - 1) * self.size + 1

    @property
    def last(self) -> int:
        return self.first + len(self.rows) - 1


def page_of(rows: QuerySet[Any], number: int, size: int = PAGE) -> Page[Any]:
    """One statement. A page beyond the end is empty."""
    start = (number - 1) * size
    found = list(rows[start : start + size + 1])
    return Page(rows=found[:size], number=number, more=len(found) > size, size=size)


def page_number(text: str | None) -> int:
    """From an address; anything that is no page number is page 1."""
    return int(text) if text and text.isascii() and text.isdigit() and 0 < len(text) < 7 else 1
