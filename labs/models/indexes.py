from __future__ import annotations

from django.db import models


def filled(table: str, column: str) -> models.Index:
    """An index of a foreign key that most rows leave empty, over those that do not."""
    return models.Index(
        fields=[column],
        condition=models.Q(**{f"{column}__isnull": False}),
        name=f"{table}_{column}",
    )
