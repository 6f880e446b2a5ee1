"""The test catalogue. It comes from labs/data with every migration and is the same for all."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from labs.admin.scope import ReadOnlyAdmin, ReadOnlyInline
from labs.models import Analyte, Panel, PanelAnalyte, ReferenceInterval


class CatalogueAdmin(ReadOnlyAdmin):
    """Belongs to no clinic: whoever administers one may look."""

    viewed = ""
    clinic_path = ""

    def _mine(self, request: HttpRequest, obj: Any) -> bool:
        return bool(self._clinics(request)) or bool(request.user.is_superuser)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return admin.ModelAdmin.get_queryset(self, request)


class IntervalInline(ReadOnlyInline):
    model = ReferenceInterval


class AnalyteInline(ReadOnlyInline):
    model = PanelAnalyte
    verbose_name_plural = "analytes"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).select_related("analyte", "panel")


@admin.register(Analyte)
class AnalyteAdmin(CatalogueAdmin):
    list_display = ("code", "name", "group", "unit", "kind")
    list_filter = ("group",)
    search_fields = ("code", "name")
    inlines = (IntervalInline,)


@admin.register(Panel)
class PanelAdmin(CatalogueAdmin):
    list_display = ("code", "name", "analyzer_model", "specimen_type", "usual_minutes")
    search_fields = ("code", "name")
    inlines = (AnalyteInline,)
