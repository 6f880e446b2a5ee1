from __future__ import annotations

from django.db import models


class Tries(models.Model):
    """How often in a row something was tried that may be a guess, from one place: a wrong password
    for an account, a mail to an address. In the database, because the web processes of several
    machines count together."""

    # A keyed hash: whatever somebody typed and from where is not to be read here.
    key = models.CharField(max_length=64, primary_key=True)
    count = models.PositiveIntegerField()
    last_at = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return f"{self.count} until {self.last_at:%Y-%m-%d %H:%M:%S}"
