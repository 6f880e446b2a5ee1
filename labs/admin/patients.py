from __future__ import annotations

from decimal import Decimal
from typing import Any

from django import forms
from django.contrib import admin
from django.db import transaction
from django.http import HttpRequest

from labs.admin.scope import ClinicScopedAdmin, NamedFields
from labs.models import Owner, Patient, Visit, Weight
from labs.services.registry.patients import MAX_KG
from labs.services.reviews import species

INSTEAD_OF_PATIENT = (
    "Mark the patient as deceased, or cancel the request. A patient entered twice is merged with "
    "the other record on its page of the staff site."
)


@admin.register(Owner)
class OwnerAdmin(ClinicScopedAdmin):
    list_display = ("__str__", "owner_id", "phone", "email", "clinic")
    list_select_related = ("clinic",)
    search_fields = ("last_name", "first_name", "owner_id", "phone")
    instead = "Give the animals to another owner first, then delete this one."


class WeightForm(forms.ModelForm):  # type: ignore[type-arg]
    def clean_kg(self) -> Decimal:
        kg: Decimal = self.cleaned_data["kg"]
        if not 0 < kg <= MAX_KG:
            raise forms.ValidationError(f"A weight of {kg} kg cannot be right.")
        return kg


class WeightInline(NamedFields, admin.TabularInline):  # type: ignore[type-arg]
    """Rows of a patient whose page has already been found to be the person's own."""

    model = Weight
    form = WeightForm
    extra = 1
    can_delete = False

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return True

    has_add_permission = has_change_permission = has_view_permission

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(Patient)
class PatientAdmin(ClinicScopedAdmin):
    list_display = ("name", "patient_id", "species", "breed", "owner", "deceased", "clinic")
    list_select_related = ("owner", "clinic")
    list_filter = ("species", "deceased")
    search_fields = ("name", "patient_id", "microchip", "owner__last_name")
    autocomplete_fields = ("owner",)
    fields = (
        "clinic",
        ("name", "patient_id"),
        "owner",
        ("species", "breed"),
        ("sex", "neutered"),
        ("birth_date", "birth_date_estimated"),
        "microchip",
        ("deceased", "deceased_on"),
    )
    inlines = (WeightInline,)
    instead = INSTEAD_OF_PATIENT

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """A record that was merged away stays as it was: it is what a person gets back."""
        merged = obj is not None and obj.merged_into_id is not None
        return not merged and super().has_change_permission(request, obj)

    def patient_of(self, obj: Any) -> Any:
        return obj

    def save_model(self, request: Any, obj: Any, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        if change and "species" in form.changed_data:
            transaction.on_commit(lambda: species.follow([obj.pk]))

    def save_formset(self, request: Any, form: Any, formset: Any, change: bool) -> None:
        super().save_formset(request, form, formset, change)
        if formset.has_changed():
            self.audit(request, form.instance, "weighed", [])


@admin.register(Visit)
class VisitAdmin(ClinicScopedAdmin):
    list_display = ("at", "patient", "doctor", "clinic")
    list_select_related = ("patient", "clinic")
    search_fields = ("patient__name", "patient__patient_id", "doctor")
    autocomplete_fields = ("patient",)
    date_hierarchy = "at"

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        field: Any = super().formfield_for_foreignkey(db_field, request, **kwargs)
        if db_field.name == "patient":
            field.queryset = field.queryset.filter(merged_into=None)
        return field
