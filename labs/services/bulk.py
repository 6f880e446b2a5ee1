"""Many rows at once, in statements of a bounded size."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, TypeVar

from django.db import models

Row = TypeVar("Row", bound=models.Model)
# SQLite's own limits on the number of variables in a statement vary; this is below all of them.
BATCH = 500


def find(rows: models.QuerySet[Row], column: str, values: Iterable[Any]) -> Iterator[Row]:
    """The rows whose column has one of the values; one statement for every 500 of them."""
    wanted = list(dict.fromkeys(values))
    for start in range(0, len(wanted), BATCH):
        yield from rows.filter(**{f"{column}__in": wanted[start : start + BATCH]})


def upsert(rows: Sequence[Row], *, unique: Sequence[str], columns: Sequence[str]) -> None:
    """Insert, or write `columns` of the row that has the same `unique` ones. Sets primary keys.
    Give it fresh instances: one that carries its key would collide on that key first."""
    if rows:
        type(rows[0])._default_manager.bulk_create(
            rows,
            batch_size=BATCH,
            update_conflicts=True,
            unique_fields=unique,
            update_fields=columns,
        )
