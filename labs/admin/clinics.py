from __future__ import annotations

import zoneinfo
from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest

from labs.admin.scope import ClinicForm, ClinicScopedAdmin
from labs.models import Analyzer, Clinic


class ClinicEditForm(ClinicForm):
    timezone = forms.ChoiceField(
        choices=lambda: [(name, name) for name in sorted(zoneinfo.available_timezones())],
        initial="UTC",
    )


@admin.register(Clinic)
class ClinicAdmin(ClinicScopedAdmin):
    form = ClinicEditForm
    clinic_path = "pk"
    list_display = ("name", "timezone", "public_id")
    search_fields = ("name", "public_id")
    fields = ("name", "timezone", "public_id", "digest_at")
    instead = "A clinic's records are kept. Take its staff away to close it."

    def has_add_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.is_superuser)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(request.user.is_superuser)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        # It is part of the address that the laboratory posts to.
        return ("public_id",) if obj else ()

    def clinic_of(self, obj: Any) -> Clinic | None:
        return obj if Clinic.objects.filter(pk=obj.pk).exists() else None

    def delete_model(self, request: Any, obj: Any) -> None:
        super(ClinicScopedAdmin, self).delete_model(request, obj)
        self.audit(request, obj, "deleted", [])


@admin.register(Analyzer)
class AnalyzerAdmin(ClinicScopedAdmin):
    list_display = ("model", "serial_number", "name", "in_use", "clinic")
    list_select_related = ("clinic",)
    list_filter = ("in_use",)
    search_fields = ("model", "serial_number", "name")
    instead = "Untick “In use” instead."
