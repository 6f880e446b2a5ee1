"""What can be ordered and measured. Loaded from labs/data (labs/catalogue.py), the same for all
clinics. Its ranges are demo data, not medicine: the range delivered with a result is what
counts."""

from __future__ import annotations

from django.db import models


class Analyte(models.Model):
    code = models.CharField(max_length=32, unique=True)
    name = models.CharField(max_length=100)
    group = models.CharField(max_length=50, help_text="CBC, Chemistry, Blood gas …")
    unit = models.CharField(max_length=32, blank=True)
    kind = models.CharField(max_length=8, help_text="num, text, semi, count or image")
    position = models.PositiveIntegerField()
    note = models.TextField(blank=True)

    class Meta:
        ordering = ("position",)

    def __str__(self) -> str:
        return f"{self.code} {self.name}"


class Panel(models.Model):
    """An orderable test: a group of analytes that one analyzer measures in one run."""

    code = models.CharField(max_length=32, unique=True)
    name = models.CharField(max_length=100)
    analyzer_model = models.CharField(max_length=100)
    specimen_type = models.CharField(max_length=50)
    usual_minutes = models.PositiveIntegerField(help_text="From loading to result")
    position = models.PositiveIntegerField()
    analytes = models.ManyToManyField(Analyte, through="PanelAnalyte")

    class Meta:
        ordering = ("position",)

    def __str__(self) -> str:
        return f"{self.name} ({self.code})"


class PanelAnalyte(models.Model):
    panel = models.ForeignKey(Panel, on_delete=models.CASCADE)
    analyte = models.ForeignKey(Analyte, on_delete=models.CASCADE)

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=["panel", "analyte"], name="analyte_once_per_panel"),
        )

    def __str__(self) -> str:
        return f"{self.analyte.code} in {self.panel.code}"


class ReferenceInterval(models.Model):
    """A demo interval of one analyte for one species, as text (`4.00-16.53`, `<15.0`,
    `NEGATIVE`)."""

    analyte = models.ForeignKey(Analyte, on_delete=models.CASCADE)
    species = models.CharField(max_length=8)
    text = models.CharField(max_length=50)

    class Meta:
        constraints = (
            models.UniqueConstraint(
                fields=["analyte", "species"], name="interval_once_per_species"
            ),
        )

    def __str__(self) -> str:
        return f"{self.analyte.code}, {self.species}: {self.text}"
