from __future__ import annotations

from django.conf import settings
from django.db import models

from labs.querysets import ClinicQuerySet


class CodeKind(models.TextChoices):
    SPECIES = "species", "Species"
    BREED = "breed", "Breed"
    SEX = "sex", "Sex"
    TEST = "test", "Test"
    ANALYTE = "analyte", "Value"


class ClinicCode(models.Model):
    """A clinic's own word for the laboratory's code, where the vendor's table says nothing or
    something else. Of an analyte the other way round: the laboratory's code, and the catalogue's
    entry that takes its values."""

    clinic = models.ForeignKey("labs.Clinic", on_delete=models.PROTECT)
    vendor = models.CharField(max_length=32)
    kind = models.CharField(max_length=8, choices=CodeKind.choices)
    species = models.CharField(max_length=8, blank=True, help_text="Of a breed: which animal's")
    word = models.CharField(max_length=100)
    # `labs.order.folded` of the word: capitals and blanks make no other word.
    key = models.CharField(max_length=100)
    code = models.CharField(max_length=64)
    set_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True)
    set_at = models.DateTimeField(auto_now=True)

    objects = ClinicQuerySet.as_manager()

    class Meta:
        ordering = ("kind", "species", "key")
        constraints = (
            models.UniqueConstraint(
                fields=["clinic", "vendor", "kind", "species", "key"], name="code_once_per_word"
            ),
        )

    def __str__(self) -> str:
        return f"{self.word} is {self.code}"
