from __future__ import annotations

from django.conf import settings
from django.db import models


class Looking(models.Model):
    """Who has an unmatched result open and did something there lately. A hint for colleagues, no
    lock and no record: rows go after a minute, and the orphan's version decides who was first."""

    unmatched = models.ForeignKey("labs.UnmatchedResult", on_delete=models.CASCADE)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    at = models.DateTimeField(db_index=True)

    class Meta:
        constraints = (models.UniqueConstraint(fields=["unmatched", "user"], name="looking_once"),)

    def __str__(self) -> str:
        return f"{self.user} at {self.unmatched}"
