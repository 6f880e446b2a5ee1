"""What the analyzers measured. A test run has versions; versions and their rows never change.

Which version is current, and which rows make up the current picture, is a pure function of all the
versions of the run (labs/services/intake/versions.py), so the order of arrival never decides.
"""

from __future__ import annotations

import uuid
from decimal import Decimal

from django.conf import settings
from django.db import models
from django.db.models import Q

from labs import limits
from labs.querysets import ClinicQuerySet


class ResultStatus(models.TextChoices):
    PRELIMINARY = "preliminary", "Preliminary"
    FINAL = "final", "Final"
    CORRECTED = "corrected", "Corrected"
    CANCELLED = "cancelled", "Cancelled"
    # Never sent: as its message is read today, it is not there (services/intake/rereading.py).
    WITHDRAWN = "withdrawn", "Withdrawn"


# Of these nothing is reported: no value of theirs counts anywhere.
VOID_STATUSES = (ResultStatus.CANCELLED, ResultStatus.WITHDRAWN)


class ReviewState(models.TextChoices):
    WAITING = "waiting", "To review"
    REVIEWED = "reviewed", "Reviewed"
    CHANGED = "changed", "Changed after review"


class TestRun(models.Model):
    """One run of one panel on one analyzer. It stands on a request, or on an unmatched result, or
    on both once that was matched; taking the match back empties `request` again."""

    __test__ = False

    clinic = models.ForeignKey("labs.Clinic", on_delete=models.PROTECT)
    request = models.ForeignKey(
        "labs.LabRequest", on_delete=models.PROTECT, null=True, related_name="runs"
    )
    unmatched = models.ForeignKey(
        "labs.UnmatchedResult",
        on_delete=models.PROTECT,
        null=True,
        related_name="runs",
        db_index=False,
    )
    requested_test = models.ForeignKey(
        "labs.RequestedTest", on_delete=models.PROTECT, null=True, related_name="runs"
    )
    # The sender's id of the run, else code, analyzer serial and run time (contract, "Inbound").
    run_key = models.CharField(max_length=200)
    test_code = models.CharField(max_length=64, blank=True)
    test_name = models.CharField(max_length=200, blank=True)
    category = models.CharField(max_length=100, blank=True)
    analyzer_model = models.CharField(max_length=100, blank=True)
    analyzer_serial = models.CharField(max_length=100, blank=True)
    analyzer_name = models.CharField(max_length=100, blank=True)
    specimen_type = models.CharField(max_length=100, blank=True)
    review_state = models.CharField(
        max_length=8, choices=ReviewState.choices, default=ReviewState.WAITING
    )
    created_at = models.DateTimeField(auto_now_add=True)

    objects = ClinicQuerySet.as_manager()

    class Meta:
        ordering = ("pk",)
        constraints = (
            models.UniqueConstraint(
                fields=["request", "run_key"],
                condition=Q(unmatched=None),
                name="run_once_per_request",
            ),
            models.UniqueConstraint(
                fields=["unmatched", "run_key"],
                condition=Q(unmatched__isnull=False),
                name="run_once_per_unmatched",
            ),
            models.CheckConstraint(
                condition=Q(request__isnull=False) | Q(unmatched__isnull=False),
                name="run_stands_somewhere",
            ),
        )
        indexes = (
            # What waits for a veterinarian, which every page counts: a few of a clinic's many.
            models.Index(
                fields=["clinic", "request"],
                condition=Q(review_state__in=["waiting", "changed"]),
                name="run_to_review",
            ),
        )

    def __str__(self) -> str:
        return self.test_name or self.test_code or self.run_key


class LabResult(models.Model):
    """One immutable version of a test run, exactly as one message delivered it or one person typed
    it. Only `current` may
    change, from true to false, when a newer version is filed.

    A message that a newer adapter reads differently gives another `reading` of the same version.
    Of a run's readings of one message the highest counts; the others stay as what was shown once.
    """

    clinic = models.ForeignKey("labs.Clinic", on_delete=models.PROTECT, db_index=False)
    run = models.ForeignKey(
        TestRun, on_delete=models.PROTECT, related_name="versions", db_index=False
    )
    # None where a person typed it in, for an analyzer that is not connected: the journal holds only
    # what a laboratory sent.
    message = models.ForeignKey(
        "labs.Message", on_delete=models.PROTECT, null=True, related_name="results"
    )
    typed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, related_name="+"
    )
    reading = models.PositiveIntegerField(default=1)
    status = models.CharField(max_length=12, choices=ResultStatus.choices)
    report_version = models.IntegerField(default=0)
    reported_at = models.DateTimeField(null=True)
    run_at = models.DateTimeField(null=True)
    run_at_text = models.CharField(max_length=64, blank=True, help_text="As delivered")
    current = models.BooleanField(default=False)
    comments = models.JSONField(default=list)
    correction_reason = models.TextField(blank=True)
    # The species that the analyzer measured for, in our words; empty where what was typed says
    # nothing; null where the message speaks of no animal at all (a correction), which voids
    # nothing.
    species = models.CharField(max_length=8, blank=True, null=True)  # noqa: DJ001 - see above
    # For which species critical limits were asked when it was filed: the patient's of that day, or,
    # of what came without a request, what was typed.
    limits_for = models.CharField(max_length=8, blank=True)
    # Of status, comments and rows: two messages of one version with the same digest say the same.
    digest = models.CharField(max_length=64)
    received_at = models.DateTimeField(auto_now_add=True)

    objects = ClinicQuerySet.as_manager()

    class Meta:
        ordering = ("run", "pk")
        constraints = (
            models.UniqueConstraint(
                fields=["run"],
                condition=Q(current=True),
                name="one_current_version_per_run",
            ),
            models.UniqueConstraint(
                fields=["run", "message", "reading"], name="version_once_per_reading"
            ),
            models.CheckConstraint(
                condition=Q(message__isnull=False, typed_by=None)
                | Q(message=None, typed_by__isnull=False),
                name="version_sent_or_typed",
            ),
        )

    def __str__(self) -> str:
        return f"{self.run}, version {self.report_version}"

    def ranges_void(self, patient_species: str) -> bool:
        """Whether it was measured for another species than the patient's, or for none that we can
        tell: then its ranges and flags are shown struck through and used for nothing."""
        return self.species is not None and self.species != patient_species


class Flag(models.TextChoices):
    NORMAL = "N", "within"
    LOW = "L", "low"
    HIGH = "H", "high"
    CRITICAL_LOW = "LL", "critical low"
    CRITICAL_HIGH = "HH", "critical high"
    ABNORMAL = "A", "abnormal"
    POSITIVE = "P", "positive"
    UNKNOWN = "?", "unknown flag"
    NONE = "", "not assessed"


CRITICAL = (Flag.CRITICAL_LOW, Flag.CRITICAL_HIGH)


def flag_of(delivered: str, computed: str) -> str:
    """See `Observation.flag`."""
    if computed in CRITICAL and delivered not in CRITICAL:
        return computed
    return delivered or computed


def own_flag_of(computed: str, critical_source: str, as_filed: object) -> str:
    """Of a row that came for another species than its animal's: what our critical limits for the
    animal say, LL or HH. Its own range and flag say nothing."""
    ours = critical_source in (limits.Source.CLINIC, limits.Source.DEMO)
    return computed if ours and as_filed is not None else ""


def is_critical(path: str = "") -> Q:
    """On observations, or on what reaches them by `path`: the one way to ask the database. As
    `Observation.flag` has it, a critical flag beats a lesser one, whoever set it."""
    by = (f"{path}{column}__in" for column in ("flag_delivered", "flag_computed"))
    return Q(*((lookup, CRITICAL) for lookup in by), _connector=Q.OR)


class Observation(models.Model):
    """One delivered row. Numbers are kept as canonical decimal text: SQLite would turn a decimal
    column into a float and lose digits."""

    result = models.ForeignKey(LabResult, on_delete=models.PROTECT, related_name="observations")
    run = models.ForeignKey(
        TestRun, on_delete=models.PROTECT, related_name="observations", db_index=False
    )
    analyte = models.ForeignKey("labs.Analyte", on_delete=models.PROTECT, null=True)
    # Part of the run's current picture: the newest version that lists this code and sequence.
    current = models.BooleanField(default=True)
    position = models.PositiveIntegerField(help_text="Place in the panel")
    sequence = models.CharField(max_length=16, blank=True, help_text="As delivered")
    # Which of the rows with this code in its message: the same code twice in a panel is two rows.
    occurrence = models.PositiveIntegerField(default=1)
    code = models.CharField(max_length=64, blank=True)
    name = models.CharField(max_length=200, blank=True)
    status = models.CharField(max_length=12, choices=ResultStatus.choices, blank=True)
    value_text = models.TextField(blank=True)
    value_kind = models.CharField(
        max_length=12,
        help_text="number, qualified, interval, text, missing, attachment",
    )
    number = models.CharField(max_length=500, blank=True)
    qualifier = models.CharField(max_length=2, blank=True)
    unit = models.CharField(max_length=64, blank=True)
    not_reported_reason = models.CharField(max_length=32, blank=True)
    low = models.CharField(max_length=64, blank=True)
    high = models.CharField(max_length=64, blank=True)
    range_text = models.CharField(max_length=200, blank=True)
    range_kind = models.CharField(max_length=12, blank=True, help_text="reference or measuring")
    critical_low = models.CharField(max_length=64, blank=True)
    critical_high = models.CharField(max_length=64, blank=True)
    critical_source = models.CharField(
        max_length=9, blank=True, help_text="Whose critical limits: labs.limits.Source"
    )
    flag_delivered = models.CharField(max_length=2, choices=Flag.choices, blank=True)
    flag_delivered_text = models.CharField(max_length=64, blank=True, help_text="As delivered")
    flag_computed = models.CharField(max_length=2, choices=Flag.choices, blank=True)
    # What we said of it when it was filed, where it came for another species than that of the
    # animal it is of: since then it is held against that animal's limits (services.reviews.species)
    as_filed = models.JSONField(null=True)
    comments = models.JSONField(default=list)
    warnings = models.JSONField(default=list)

    class Meta:
        ordering = ("result", "position")
        indexes = (
            models.Index(fields=["run", "current"], name="observation_current"),
            # Codes that the catalogue does not know, for whoever maps them: there are few.
            models.Index(fields=["code"], condition=Q(analyte=None), name="observation_unmapped"),
        )

    def __str__(self) -> str:
        return f"{self.code} {self.value_text}"

    @property
    def value(self) -> Decimal | None:
        return Decimal(self.number) if self.number else None

    @property
    def flag(self) -> str:
        """What the row is shown as: the delivered flag, else our own; empty where neither says.
        Beyond a critical limit it is critical also where the analyzer's flag only says high."""
        return flag_of(self.flag_delivered, self.flag_computed)

    @property
    def own_flag(self) -> str:
        return own_flag_of(self.flag_computed, self.critical_source, self.as_filed)

    @property
    def alarming(self) -> str:
        """See labs.limits.alarming."""
        return limits.alarming(self.__dict__)

    @property
    def is_critical(self) -> bool:
        return self.flag in CRITICAL

    @property
    def is_abnormal(self) -> bool:
        return self.flag not in (Flag.NONE, Flag.NORMAL)


class Attachment(models.Model):
    """A file that came with a result. The bytes lie in the database: they are stored in the same
    transaction as the result, and no web server can reach them past the authorised view."""

    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    result = models.ForeignKey(
        LabResult, on_delete=models.PROTECT, null=True, related_name="attachments"
    )
    message = models.ForeignKey(
        "labs.Message", on_delete=models.PROTECT, related_name="attachments"
    )
    attachment_id = models.CharField(max_length=64, blank=True)
    file_name = models.CharField(max_length=200, blank=True)
    content_type = models.CharField(max_length=50, help_text="By magic bytes, not as declared")
    description = models.CharField(max_length=200, blank=True)
    analyte_code = models.CharField(max_length=64, blank=True)
    size = models.PositiveIntegerField()
    sha256 = models.CharField(max_length=64)
    warnings = models.JSONField(default=list)
    content = models.BinaryField()

    class Meta:
        ordering = ("pk",)

    def __str__(self) -> str:
        return self.file_name or self.attachment_id


class Review(models.Model):
    """That a person saw one version of a run and signed it. Append-only; whether the run is
    reviewed now is whether the newest review is of what is current."""

    clinic = models.ForeignKey("labs.Clinic", on_delete=models.PROTECT)
    run = models.ForeignKey(TestRun, on_delete=models.PROTECT, related_name="reviews")
    result = models.ForeignKey(LabResult, on_delete=models.PROTECT, related_name="reviews")
    reviewed_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT)
    reviewed_at = models.DateTimeField()
    note = models.TextField(blank=True)
    seen = models.JSONField(default=list, help_text="The rows as they were shown")

    objects = ClinicQuerySet.as_manager()

    class Meta:
        ordering = ("-reviewed_at", "-pk")

    def __str__(self) -> str:
        return f"{self.run} reviewed by {self.reviewed_by}"
