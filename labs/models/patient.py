from __future__ import annotations

import uuid
from datetime import date

from django.db import models

from labs.querysets import ClinicQuerySet, PatientQuerySet


class Owner(models.Model):
    """The client: the person who brings the animal and pays."""

    clinic = models.ForeignKey("labs.Clinic", on_delete=models.PROTECT)
    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    owner_id = models.CharField("owner id", max_length=64, help_text="The practice's own number")
    first_name = models.CharField(max_length=100, blank=True)
    last_name = models.CharField(max_length=100, blank=True)
    phone = models.CharField(max_length=50, blank=True)
    email = models.EmailField(blank=True)

    objects = ClinicQuerySet.as_manager()

    class Meta:
        ordering = ("last_name", "first_name", "pk")
        constraints = (
            models.UniqueConstraint(fields=["clinic", "owner_id"], name="owner_id_once_per_clinic"),
        )

    def __str__(self) -> str:
        return ", ".join(part for part in (self.last_name, self.first_name) if part) or "no name"


class Species(models.TextChoices):
    DOG = "dog", "Dog"
    CAT = "cat", "Cat"
    HORSE = "horse", "Horse"
    OTHER = "other", "Other"


class Sex(models.TextChoices):
    MALE = "M", "Male"
    FEMALE = "F", "Female"
    UNKNOWN = "U", "Unknown"


class Patient(models.Model):
    clinic = models.ForeignKey("labs.Clinic", on_delete=models.PROTECT)
    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    owner = models.ForeignKey(Owner, on_delete=models.PROTECT, null=True, blank=True)
    patient_id = models.CharField("patient id", max_length=64, help_text="The practice's own id")
    name = models.CharField(max_length=100)
    species = models.CharField(max_length=8, choices=Species.choices)
    breed = models.CharField(max_length=100, blank=True)
    sex = models.CharField(max_length=1, choices=Sex.choices, default=Sex.UNKNOWN)
    neutered = models.BooleanField(null=True, blank=True, help_text="Empty: not known")
    birth_date = models.DateField(null=True, blank=True)
    birth_date_estimated = models.BooleanField(default=False)
    microchip = models.CharField(max_length=32, blank=True)
    deceased = models.BooleanField(default=False)
    deceased_on = models.DateField(null=True, blank=True)
    # No animal, but the patient of test orders: no result is ever filed on it.
    is_test = models.BooleanField(default=False, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)

    objects = PatientQuerySet.as_manager()

    class Meta:
        ordering = ("name", "pk")
        constraints = (
            models.UniqueConstraint(
                fields=["clinic", "patient_id"], name="patient_id_once_per_clinic"
            ),
        )
        indexes = (models.Index(fields=["clinic", "name"], name="patient_clinic_name"),)

    def __str__(self) -> str:
        return f"{self.name} ({self.patient_id})"

    @property
    def sex_words(self) -> str:
        """`male neutered`, `female spayed`, `female`, `sex unknown`."""
        if self.sex == Sex.UNKNOWN:
            return "sex unknown"
        if not self.neutered:
            return self.get_sex_display().lower()
        return "male neutered" if self.sex == Sex.MALE else "female spayed"

    def age_words(self, today: date) -> str:
        """`6 y 11 m`, `7 wk`; empty where no birth date is known. `about` marks an estimate."""
        if self.birth_date is None:
            return ""
        end = self.deceased_on or today
        months = (end.year - self.birth_date.year) * 12 + end.month - self.birth_date.month
        months -= end.day < self.birth_date.day
        if months < 3:
            words = f"{max(0, (end - self.birth_date).days) // 7} wk"
        else:
            words = " ".join(
                part for part in (f"{months // 12} y" * (months >= 12), f"{months % 12} m") if part
            )
        return f"about {words}" if self.birth_date_estimated else words


class Weight(models.Model):
    """A weighing. The latest one is the patient's weight; earlier ones help to match orphans."""

    patient = models.ForeignKey(Patient, on_delete=models.PROTECT)
    kg = models.DecimalField("weight in kg", max_digits=7, decimal_places=3)
    measured_on = models.DateField()

    class Meta:
        ordering = ("-measured_on", "-pk")
        get_latest_by = ("measured_on", "pk")

    def __str__(self) -> str:
        return f"{self.kg.normalize():f} kg"


class Visit(models.Model):
    """An appointment or check-in: the strongest hint whose an unmatched result is."""

    clinic = models.ForeignKey("labs.Clinic", on_delete=models.PROTECT)
    patient = models.ForeignKey(Patient, on_delete=models.PROTECT)
    at = models.DateTimeField()
    doctor = models.CharField(max_length=100, blank=True)

    objects = ClinicQuerySet.as_manager()

    class Meta:
        ordering = ("-at",)
        constraints = (models.UniqueConstraint(fields=["patient", "at"], name="visit_once"),)
        indexes = (models.Index(fields=["clinic", "at"], name="visit_clinic_at"),)

    def __str__(self) -> str:
        return f"{self.patient} at {self.at:%Y-%m-%d %H:%M}"
