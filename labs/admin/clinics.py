from __future__ import annotations

import zoneinfo
from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import Http404, HttpRequest
from django.urls import path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from labs import logo
from labs.admin.entering import enter
from labs.admin.scope import ClinicForm, ClinicScopedAdmin
from labs.errors import InvalidInput
from labs.models import Analyzer, Automatic, Clinic, ClinicLogo
from labs.services.orphaned import automatic_switch


class ClinicEditForm(ClinicForm):
    timezone = forms.ChoiceField(
        choices=lambda: [(name, name) for name in sorted(zoneinfo.available_timezones())],
        initial="UTC",
    )
    logo = forms.FileField(
        required=False, help_text="PNG or JPEG; at the head of the report for the owner"
    )
    no_logo = forms.BooleanField(required=False, label="Take the logo away")

    def clean_automatic(self) -> str:
        to = str(self.cleaned_data.get("automatic") or Automatic.OFF)
        if to != self.initial.get("automatic", Automatic.OFF):
            try:
                automatic_switch.require_proven(self.instance, to)
            except InvalidInput as problem:
                raise forms.ValidationError(problem.message) from problem
        return to

    def clean_logo(self) -> bytes | None:
        """The picture as it will be kept."""
        given = self.cleaned_data.get("logo")
        if not given:
            return None
        try:
            return logo.clean(given.read(logo.MOST_BYTES + 1))
        except InvalidInput as error:
            raise forms.ValidationError(error.message) from error


@admin.register(Clinic)
class ClinicAdmin(ClinicScopedAdmin):
    viewed = ""
    form = ClinicEditForm
    clinic_path = "pk"
    list_display = ("name", "timezone", "public_id")
    search_fields = ("name", "public_id")
    fields = (
        *("name", "timezone", "public_id", "idle_minutes"),
        *("digest_at", "digest_to", "automatic"),
        "keep_messages_days",
        *("address", "phone", "email", "logo", "no_logo"),
    )
    instead = "A clinic's records are kept. Take its staff away to close it."

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        # A superuser chooses here which one to enter.
        if request.user.is_superuser:
            return admin.ModelAdmin.get_queryset(self, request)
        return super().get_queryset(request)

    def get_object(self, request: HttpRequest, object_id: str, from_field: Any = None) -> Any:
        own = self._clinics(request)
        found = super().get_object(request, object_id, from_field)
        if found.pk not in own:
            raise Http404
        return found

    def get_list_display(self, request: HttpRequest) -> Any:
        columns = super().get_list_display(request)
        return [*columns, "enter"] if request.user.is_superuser else columns

    @admin.display(description="Records")
    def enter(self, obj: Clinic) -> SafeString:
        return format_html(
            '<a href="{}">Enter…</a>', reverse("admin:labs_clinic_enter", args=[obj.pk])
        )

    def get_urls(self) -> list[Any]:
        view = self.admin_site.admin_view(enter)
        return [path("<int:pk>/enter/", view, name="labs_clinic_enter"), *super().get_urls()]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.is_superuser)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(request.user.is_superuser)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        # It is part of the address that the laboratory posts to.
        return ("public_id",) if obj else ()

    def save_model(self, request: Any, obj: Any, form: Any, change: bool) -> None:
        # Automatic matching is switched by its own service, which asks for the proof once more.
        to = obj.automatic
        obj.automatic = form.initial.get("automatic", Automatic.OFF) if change else Automatic.OFF
        super().save_model(request, obj, form, change)
        if to != obj.automatic:
            automatic_switch.switch(acting_user=request.user, clinic=obj, to=to)
        if content := form.cleaned_data.get("logo"):
            ClinicLogo.objects.update_or_create(clinic=obj, defaults={"content": content})
        elif form.cleaned_data.get("no_logo"):
            ClinicLogo.objects.filter(clinic=obj).delete()

    def clinic_of(self, obj: Any) -> Clinic | None:
        return obj if Clinic.objects.filter(pk=obj.pk).exists() else None

    def delete_model(self, request: Any, obj: Any) -> None:
        super(ClinicScopedAdmin, self).delete_model(request, obj)
        self.audit(request, obj, "deleted", [])


@admin.register(Analyzer)
class AnalyzerAdmin(ClinicScopedAdmin):
    viewed = ""
    list_display = ("model", "serial_number", "name", "in_use", "clinic")
    list_select_related = ("clinic",)
    list_filter = ("in_use",)
    search_fields = ("model", "serial_number", "name")
    instead = "Untick “In use” instead."
