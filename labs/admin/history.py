"""What happened, to look at: requests, results, messages, decisions, audit."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from labs.admin.scope import ReadOnlyAdmin, ReadOnlyInline
from labs.models import (
    LabEvent,
    LabRequest,
    LabResult,
    MatchDecision,
    Message,
    Observation,
    RequestedTest,
    Review,
    Submission,
)
from labs.queries.records.event_words import event_said
from labs.services.reviews.viewing import VIEWED

SHOWN_OF_BODY = 20_000


class TestInline(ReadOnlyInline):
    model = RequestedTest
    fields = ("panel", "specimen", "state", "refusal")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).select_related("panel", "specimen", "request")


@admin.register(LabRequest)
class LabRequestAdmin(ReadOnlyAdmin):
    list_display = ("lab_report_id", "patient", "state", "priority", "requested_at", "clinic")
    list_select_related = ("patient", "clinic")
    list_filter = ("state", "retrospective")
    search_fields = ("lab_report_id", "patient__name", "patient__patient_id")
    # Whoever has the key may file results on the request.
    exclude = ("result_key",)
    inlines = (TestInline,)


class ObservationInline(ReadOnlyInline):
    model = Observation
    fields = ("code", "value_text", "unit", "flag_delivered", "range_text", "current")


@admin.register(LabResult)
class LabResultAdmin(ReadOnlyAdmin):
    viewed = VIEWED
    list_display = ("run", "status", "report_version", "current", "received_at", "clinic")
    list_select_related = ("run", "clinic")
    list_filter = ("status", "current")
    search_fields = ("run__request__lab_report_id", "run__test_name")
    exclude = ("digest",)
    inlines = (ObservationInline,)


@admin.register(Message)
class MessageAdmin(ReadOnlyAdmin):
    list_display = (
        "receipt_id",
        "direction",
        "vendor",
        "state",
        "received_at",
        "redeliveries",
        "clinic",
    )
    list_select_related = ("clinic",)
    list_filter = ("direction", "state")
    search_fields = ("receipt_id", "message_id")
    # Target and headers hold the keys by which results are filed.
    fields = (
        "receipt_id",
        "direction",
        "vendor",
        "clinic",
        "sender",
        "state",
        "cause",
        "warnings",
        "received_at",
        "last_seen_at",
        "redeliveries",
        "message_id",
        "request",
        "unmatched",
        "status_code",
        "milliseconds",
        "sha256",
        "body",
    )
    readonly_fields = ("body",)

    @admin.display(description="Body")
    def body(self, obj: Message) -> str:
        text = bytes(obj.raw).decode("utf-8", errors="replace")
        return text if len(text) <= SHOWN_OF_BODY else f"{text[:SHOWN_OF_BODY]} … (shown cut)"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        rows = super().get_queryset(request)
        # A list of bodies of megabytes would be read for nothing.
        found = request.resolver_match
        is_list = found is not None and (found.url_name or "").endswith("list")
        return rows.defer("raw", "reply") if is_list else rows


@admin.register(Submission)
class SubmissionAdmin(ReadOnlyAdmin):
    list_display = ("request", "vendor", "state", "attempts", "not_before", "last_error", "clinic")
    list_select_related = ("request", "clinic")
    list_filter = ("state",)
    search_fields = ("request__lab_report_id", "external_id")
    # The body names the address at which results are taken.
    exclude = ("sent_body", "lease")


@admin.register(LabEvent)
class LabEventAdmin(ReadOnlyAdmin):
    viewed = ""
    list_display = ("at", "verb", "actor", "source", "patient", "request", "unmatched", "clinic")
    list_select_related = ("actor", "patient", "request", "unmatched", "clinic")
    readonly_fields = ("said",)

    @admin.display(description="In their words")
    def said(self, obj: LabEvent) -> str:
        return event_said(obj)

    search_fields = ("verb", "request__lab_report_id", "patient__patient_id", "actor__username")
    ordering = ("-pk",)


@admin.register(MatchDecision)
class MatchDecisionAdmin(ReadOnlyAdmin):
    clinic_path = "unmatched__clinic"
    list_display = ("at", "action", "unmatched", "patient", "request", "actor", "reason", "active")
    list_select_related = ("unmatched", "patient", "request", "actor")
    list_filter = ("action", "active")
    search_fields = ("patient__name", "patient__patient_id", "request__lab_report_id")
    ordering = ("-pk",)


@admin.register(Review)
class ReviewAdmin(ReadOnlyAdmin):
    viewed = VIEWED
    list_display = ("reviewed_at", "run", "reviewed_by", "note", "clinic")
    list_select_related = ("run", "reviewed_by", "clinic")
    search_fields = ("run__request__lab_report_id", "reviewed_by__username")
