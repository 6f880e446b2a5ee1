from __future__ import annotations

import zoneinfo
from datetime import time, timedelta

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator, validate_email
from django.db import models
from django.utils import timezone

from labs import ids
from labs.hours import Week
from labs.querysets import ClinicQuerySet, ClinicsQuerySet, MembershipQuerySet


def validate_timezone(name: str) -> None:
    if name not in zoneinfo.available_timezones():
        raise ValidationError(f"“{name}” is no time zone. Use a name such as America/Denver.")


def validate_addresses(text: str) -> None:
    for address in addresses_in(text):
        try:
            validate_email(address)
        except ValidationError:
            raise ValidationError(f"“{address}” is no e-mail address.") from None


def addresses_in(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


class Automatic(models.TextChoices):
    """Whether rule A is tried on unmatched results. By services.orphaned.automatic_switch."""

    OFF = "off", "Off"
    SHADOW = "shadow", "In shadow: only noted beside what people did"
    ON = "on", "On: attaches by itself what the rule allows"


class Clinic(models.Model):
    """A veterinary practice at one place: the border that no row crosses (I3)."""

    name = models.CharField(max_length=200)
    timezone = models.CharField(max_length=64, default="UTC", validators=[validate_timezone])
    public_id = models.SlugField(
        max_length=64,
        unique=True,
        default=ids.clinic_public_id,
        help_text="Names the clinic to the laboratory, in the address for unmatched results.",
    )
    created_at = models.DateTimeField(auto_now_add=True)
    # When results are to be expected: silence at night is no news.
    open_days = models.CharField(
        max_length=7, default="123456", help_text="ISO weekdays, Monday is 1"
    )
    opens = models.TimeField(default=time(8))
    closes = models.TimeField(default=time(18), help_text="As “opens”: around the clock")
    quiet_hours = models.PositiveSmallIntegerField(
        default=4, help_text="Open hours without a result, while orders are out, that are too many"
    )

    # Whom a critical value is said to first where nobody else is responsible, and after how long
    # without an answer to everybody.
    duty_vet = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
        db_index=False,
        verbose_name="vet on duty",
    )
    escalate_minutes = models.PositiveSmallIntegerField(
        "minutes until all are told",
        default=15,
        help_text="Of a critical value that nobody has acknowledged",
    )

    # The head of what owners get. The logo itself: ClinicLogo, so that no page carries it along.
    address = models.TextField(
        blank=True, max_length=400, help_text="As it stands on the report for the owner"
    )
    phone = models.CharField(max_length=50, blank=True)
    email = models.EmailField(blank=True, help_text="Owners' answers to a report go there")

    # A mail to the clinic's administrators about what waits in the unmatched queue.
    digest_at = models.TimeField(
        default=time(7),
        null=True,
        blank=True,
        verbose_name="daily digest",
        help_text="By the clinic's own clock; empty: no digest",
    )
    digest_to = models.CharField(
        max_length=500,
        blank=True,
        verbose_name="daily digest to",
        validators=[validate_addresses],
        help_text="E-mail addresses with commas between; empty: the clinic's administrators",
    )
    # The list of first steps was taken off the home page before it was all done.
    first_steps_hidden = models.BooleanField(default=False, editable=False)
    automatic = models.CharField(
        "automatic matching", max_length=6, choices=Automatic.choices, default=Automatic.OFF
    )
    # Since when it stands so: from then on shadow counts, and only what came since is attached.
    automatic_since = models.DateTimeField(null=True, editable=False)
    automatic_stopped = models.CharField(
        max_length=300, blank=True, editable=False, help_text="Why it switched itself off"
    )
    # The way of scoring that was last seen here, and when it took another one's place.
    automatic_model = models.CharField(max_length=100, blank=True, editable=False)
    automatic_model_changed = models.DateTimeField(null=True, editable=False)
    # Bounded, so that no clinic leaves its records open over night by it.
    idle_minutes = models.PositiveSmallIntegerField(
        "sign out after",
        default=30,
        validators=[MinValueValidator(5), MaxValueValidator(240)],
        help_text="Minutes in which nobody does anything on a page; between 5 and 240",
    )
    # See labs/services/privacy/blanking.py.
    keep_messages_days = models.PositiveIntegerField(
        "keep messages for (days)",
        null=True,
        blank=True,
        validators=[MinValueValidator(90)],
        help_text="Then the bodies of messages that are filed and settled are emptied; results "
        "stay, and what a later version would read better is not there to be read again. At least "
        "90; empty: for ever",
    )
    digest_on = models.DateField(null=True, editable=False, help_text="The day of the last one")

    objects = ClinicsQuerySet.as_manager()

    class Meta:
        ordering = ("name",)

    def __str__(self) -> str:
        return self.name

    @property
    def stopped_lately(self) -> bool:
        """Whether automatic matching has switched itself off within the last week."""
        since = self.automatic_since
        return bool(self.automatic_stopped and since and timezone.now() - since < timedelta(days=7))

    @property
    def zone(self) -> zoneinfo.ZoneInfo:
        return zoneinfo.ZoneInfo(self.timezone)

    @property
    def week(self) -> Week:
        days = frozenset(int(day) for day in self.open_days)
        return Week(days=days, opens=self.opens, closes=self.closes, zone=self.zone)


class ClinicLogo(models.Model):
    """As `labs.logo.clean` leaves it: a PNG, drawn anew. In the database as attachments are."""

    clinic = models.OneToOneField(
        Clinic, on_delete=models.CASCADE, primary_key=True, related_name="logo"
    )
    content = models.BinaryField()

    objects = ClinicQuerySet.as_manager()

    def __str__(self) -> str:
        return f"Logo of {self.clinic}"


class Role(models.TextChoices):
    # The front desk: reads what a veterinarian has reviewed, and nothing before.
    RECEPTION = "reception", "Reception"
    TECHNICIAN = "technician", "Technician"
    VET = "vet", "Veterinarian"
    ADMIN = "admin", "Administrator"


class Membership(models.Model):
    """That a person works at a clinic, and as what. A person may work at several."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE)
    clinic = models.ForeignKey(Clinic, on_delete=models.PROTECT)
    role = models.CharField(max_length=12, choices=Role.choices)
    ends_at = models.DateTimeField(
        "access ends",
        null=True,
        blank=True,
        help_text="For somebody who helps out: from then on the clinic is closed to them.",
    )

    objects = MembershipQuerySet.as_manager()

    class Meta:
        verbose_name = "member of staff"
        verbose_name_plural = "staff"
        ordering = ("clinic", "user")
        constraints = (
            models.UniqueConstraint(fields=["user", "clinic"], name="membership_once_per_clinic"),
        )

    def __str__(self) -> str:
        return f"{self.user}, {self.get_role_display()} at {self.clinic}"


class Analyzer(models.Model):
    """An instrument that a clinic has. A clinic with none listed may order every panel."""

    clinic = models.ForeignKey(Clinic, on_delete=models.PROTECT)
    model = models.CharField(max_length=100)
    serial_number = models.CharField(max_length=100, blank=True)
    name = models.CharField(max_length=100, blank=True, help_text="Where it stands, for example")
    in_use = models.BooleanField(default=True)
    connected = models.BooleanField(
        default=True, help_text="No: its results are typed in, and nothing is ordered from it"
    )
    # Out of order for now: nothing is ordered from it until somebody says that it runs again.
    down_since = models.DateTimeField(null=True, blank=True, editable=False)
    down_reason = models.CharField(max_length=200, blank=True, editable=False)

    objects = ClinicQuerySet.as_manager()

    class Meta:
        ordering = ("clinic", "model", "serial_number")
        constraints = (
            models.UniqueConstraint(
                fields=["clinic", "model", "serial_number"],
                name="analyzer_once_per_clinic",
            ),
        )

    def __str__(self) -> str:
        return " ".join(part for part in (self.model, self.serial_number) if part)
