"""What is read of some hundred animals at once: by the ORM most of the time of such a statement
went into composing it anew, key by key."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from django.db.models import QuerySet

from labs.quick import Compiled, Given


class ByKeys:
    """A query of `values_list` for any number of keys, composed once for each power of two. `make`
    gives it for some keys, each a `Given`."""

    def __init__(self, make: Callable[[list[Any]], QuerySet[Any, Any]]) -> None:
        self._make = make
        self._composed: dict[int, Compiled] = {}

    def rows(self, keys: Sequence[int], **values: Any) -> list[Any]:
        """Tuples."""
        if not keys:
            return []
        size = 1 << (len(keys) - 1).bit_length()
        query = self._composed.get(size)
        if query is None:
            given = [Given(f"key{number}") for number in range(size)]
            query = self._composed[size] = Compiled(self._make(given))
        # One key more than once finds its row once.
        filled = [*keys, *[keys[0]] * (size - len(keys))]
        return query.rows(**{f"key{number}": key for number, key in enumerate(filled)}, **values)
