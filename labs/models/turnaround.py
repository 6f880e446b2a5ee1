from __future__ import annotations

from django.db import models

from labs.querysets import ClinicQuerySet


class Turnaround(models.Model):
    """How long a clinic's own orders take on one of its analyzers, from ordering to the first final
    result: what was learnt of its newest runs by `turnaround`. No row where there are
    too few of them to say."""

    clinic = models.ForeignKey("labs.Clinic", on_delete=models.PROTECT, db_index=False)
    analyzer_model = models.CharField(max_length=100)
    runs = models.PositiveIntegerField(help_text="Of how many it is learnt")
    usual_seconds = models.PositiveIntegerField(help_text="Half of them took no longer")
    slow_seconds = models.PositiveIntegerField(help_text="Nine in ten took no longer")
    learnt_at = models.DateTimeField()

    objects = ClinicQuerySet.as_manager()

    class Meta:
        ordering = ("clinic", "analyzer_model")
        constraints = (
            models.UniqueConstraint(
                fields=["clinic", "analyzer_model"], name="turnaround_once_per_analyzer"
            ),
        )

    def __str__(self) -> str:
        return f"{self.analyzer_model}, {self.usual_seconds} s"
