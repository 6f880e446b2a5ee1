from __future__ import annotations

import uuid
from datetime import date
from typing import Any

from django.db import models, transaction
from django.db.models import Q
from django.db.models.functions import Coalesce

from labs.keys import chip_key, phone_key, plain, stored_id
from labs.models.derived import DerivedField
from labs.models.indexes import filled
from labs.models.registry import (
    OwnerRows,
    PatientRows,
    VisitRows,
    counted,
    of_owner,
    touching,
)

# A PostgreSQL index of text serves what only begins so in one order alone: that of its bytes.
BEGINNING = "varchar_pattern_ops"


class Owner(models.Model):
    """The client: the person who brings the animal and pays."""

    clinic = models.ForeignKey("labs.Clinic", on_delete=models.PROTECT)
    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    owner_id = models.CharField("owner id", max_length=64, help_text="The practice's own number")
    first_name = models.CharField(max_length=100, blank=True)
    last_name = models.CharField(max_length=100, blank=True)
    phone = models.CharField(max_length=50, blank=True)
    email = models.EmailField(blank=True)
    # They asked for it (services/privacy/erasing.py): name, phone and e-mail are empty for good,
    # also where a file of the practice's still has them.
    erased_at = models.DateTimeField(null=True, editable=False)
    # By these and by its animals' surname it is found (labs/queries/registry/patient_search.py).
    first_key = DerivedField(max_length=100, editable=False, default="")
    phone_key = DerivedField(max_length=10, editable=False, default="")
    phone_end = DerivedField(max_length=10, editable=False, default="")  # backwards

    objects = OwnerRows.as_manager()

    class Meta:
        ordering = ("last_name", "first_name", "pk")
        constraints = (
            models.UniqueConstraint(fields=["clinic", "owner_id"], name="owner_id_once_per_clinic"),
        )
        indexes = (
            models.Index(
                fields=["clinic", "first_key"],
                name="owner_first_name",
                opclasses=["int8_ops", BEGINNING],
            ),
            models.Index(
                fields=["clinic", "phone_key"],
                name="owner_phone",
                opclasses=["int8_ops", BEGINNING],
            ),
            models.Index(
                fields=["clinic", "phone_end"],
                name="owner_phone_end",
                opclasses=["int8_ops", BEGINNING],
            ),
        )

    def __str__(self) -> str:
        name = ", ".join(part for part in (self.last_name, self.first_name) if part)
        return name or ("erased" if self.erased_at else "no name")

    def save(self, *args: Any, **kwargs: Any) -> None:
        """The surname on its animals follows."""
        new = self._state.adding
        if (names := kwargs.get("update_fields")) is not None:
            kwargs["update_fields"] = of_owner(names)
        with transaction.atomic():
            super().save(*args, **kwargs)
            if not new:
                Owner.objects.pass_on([self])

    def derive_first_key(self) -> str:
        return plain(self.first_name)

    def derive_phone_key(self) -> str:
        return phone_key(self.phone)

    def derive_phone_end(self) -> str:
        return phone_key(self.phone)[::-1]

    @property
    def surname_key(self) -> str:
        """What its animals are found by; of people with one name alone, that."""
        return plain(self.last_name or self.first_name)[:200]


class Species(models.TextChoices):
    DOG = "dog", "Dog"
    CAT = "cat", "Cat"
    HORSE = "horse", "Horse"
    OTHER = "other", "Other"

    @property
    def one(self) -> str:
        return "an animal of another kind" if self is Species.OTHER else f"a {self.label.lower()}"


class Sex(models.TextChoices):
    MALE = "M", "Male"
    FEMALE = "F", "Female"
    UNKNOWN = "U", "Unknown"


NOT_EDITED = frozenset({"id", "merged_into"})


def with_own_id(text: str) -> Q:
    """Of patients: whose own id that is, in capitals or not. By its index, as for the second
    condition alone every patient would be read."""
    return Q(id_key=stored_id(text)[:64], patient_id__iexact=text)


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
    # The record that it was merged into, always one that stands itself. It keeps its names and ids,
    # is found by them, and gets nothing new. Written by labs/services/registry/merging.py alone.
    merged_into = models.ForeignKey(
        "self",
        on_delete=models.PROTECT,
        null=True,
        editable=False,
        related_name="merged_from",
        db_index=False,
    )
    # Of the form that added it, so that one that is sent twice adds one; none for a command.
    form_key = models.UUIDField(null=True, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    # By these an unmatched result's animal is found, on every database alike (labs/keys.py).
    name_key = DerivedField(max_length=200, editable=False, default="")
    surname_key = DerivedField(max_length=200, editable=False, default="")
    id_key = DerivedField(max_length=64, editable=False, default="")
    chip_key = DerivedField(max_length=32, editable=False, default="")
    # Its latest visit or request, one to come included. Of a visit that was put off it may be too
    # late: it only helps to find, what counts is the visit itself.
    latest_visit = models.DateTimeField(null=True, editable=False)

    objects = PatientRows.as_manager()

    class Meta:
        ordering = ("name", "pk")
        constraints = (
            models.UniqueConstraint(
                fields=["clinic", "patient_id"], name="patient_id_once_per_clinic"
            ),
            models.UniqueConstraint(fields=["clinic", "form_key"], name="patient_form_once"),
        )
        indexes = (
            models.Index(fields=["clinic", "name"], name="patient_clinic_name"),
            models.Index(
                fields=["clinic", "name_key", "surname_key"],
                name="patient_names",
                opclasses=["int8_ops", BEGINNING, BEGINNING],
            ),
            models.Index(fields=["clinic", "name_key", "-latest_visit"], name="patient_name_seen"),
            models.Index(
                fields=["clinic", "surname_key", "-latest_visit"],
                name="patient_surname_seen",
                opclasses=["int8_ops", BEGINNING, "timestamptz_ops"],
            ),
            models.Index(
                fields=["clinic", "id_key"],
                name="patient_id_key",
                opclasses=["int8_ops", BEGINNING],
            ),
            models.Index(
                fields=["clinic", "chip_key"],
                name="patient_chip_key",
                opclasses=["int8_ops", BEGINNING],
            ),
            filled("patient", "merged_into"),
            # The living, those that were here last, or were added since, before the rest.
            models.Index(
                "clinic",
                Coalesce("latest_visit", "created_at").desc(),
                condition=models.Q(deceased=False),
                name="patient_latest",
            ),
        )

    def __str__(self) -> str:
        return f"{self.name} ({self.patient_id})"

    def save(self, *args: Any, **kwargs: Any) -> None:
        """The names of its clinic are counted with it (labs/models/vocabulary.py)."""
        names = kwargs.get("update_fields")
        if names is None and not self._state.adding:
            # Whoever read it before it was merged away writes it as one that was not: a merge is
            # never undone by an edit that knew nothing of it.
            names = [f.name for f in self._meta.concrete_fields if f.name not in NOT_EDITED]
        if names is not None:
            kwargs["update_fields"] = touching(names)
        if names is not None and not touching(names, counted_only=True):
            super().save(*args, **kwargs)
            return
        with counted([self.clinic_id], lambda: Patient.objects.counts_of(self.pk)):
            super().save(*args, **kwargs)

    def delete(self, *args: Any, **kwargs: Any) -> tuple[int, dict[str, int]]:
        with counted([self.clinic_id], lambda: Patient.objects.counts_of(self.pk)):
            return super().delete(*args, **kwargs)

    def derive_name_key(self) -> str:
        return plain(self.name)

    def derive_surname_key(self) -> str:
        return self.owner.surname_key if self.owner else ""

    def derive_id_key(self) -> str:
        return stored_id(self.patient_id)

    def derive_chip_key(self) -> str:
        return chip_key(self.microchip)

    @property
    def now(self) -> Patient:
        """The record that is used today: its own, or that which it was merged into. One query where
        it was merged and the other was not loaded with it."""
        return self.merged_into or self

    @property
    def sex_words(self) -> str:
        """`male neutered`, `female spayed`, `female`, `sex unknown`."""
        if self.sex == Sex.UNKNOWN:
            return "sex unknown"
        if not self.neutered:
            return self.get_sex_display().lower()
        return "male neutered" if self.sex == Sex.MALE else "female spayed"

    @property
    def kind(self) -> str:
        """As in "Mia is a cat"."""
        return Species(self.species).one

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

    objects = VisitRows.as_manager()

    class Meta:
        ordering = ("-at",)
        constraints = (models.UniqueConstraint(fields=["patient", "at"], name="visit_once"),)
        indexes = (models.Index(fields=["clinic", "at"], name="visit_clinic_at"),)

    def __str__(self) -> str:
        return f"{self.patient} at {self.at:%Y-%m-%d %H:%M}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        with transaction.atomic():
            super().save(*args, **kwargs)
            Patient.objects.heard_of({self.patient_id: self.at})
