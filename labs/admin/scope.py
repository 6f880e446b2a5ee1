"""Who sees which rows in the admin: a clinic's administrators their clinics', a superuser those of
the clinics that they have entered for a while, with a reason that is on record (entering.py).

Every list, picker, filter, search and address goes through here, so that nothing tells of another
clinic (I3).
"""

from __future__ import annotations

import zoneinfo
from collections import Counter
from collections.abc import Callable
from typing import Any

from django.contrib import admin
from django.contrib.admin.options import BaseModelAdmin, InlineModelAdmin
from django.contrib.admin.utils import NestedObjects
from django.contrib.admin.widgets import AdminSplitDateTime, AutocompleteSelect
from django.core.exceptions import FieldDoesNotExist, ValidationError
from django.db import router
from django.db.models import Model, Q, QuerySet
from django.forms import ModelChoiceField, ModelForm
from django.http import Http404, HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.text import capfirst

from labs.models import Clinic, LabRequest
from labs.services.events import record
from labs.services.reviews.viewing import RECORD_VIEWED
from labs.views.access import clinics_with


def path_to_clinic(model: type[Model]) -> str:
    """The lookup from a row of that model to its clinic; empty where it belongs to none."""
    if model is Clinic:
        return "pk"
    try:
        model._meta.get_field("clinic")
    except FieldDoesNotExist:
        return ""
    return "clinic"


class ClinicForm(ModelForm):  # type: ignore[type-arg]
    """A row and what it points to belong to one clinic, also where a person administers several."""

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        clinic_id = getattr(cleaned.get("clinic"), "pk", None) or self.instance.__dict__.get(
            "clinic_id"
        )
        for name, value in list(cleaned.items()):
            other = getattr(value, "clinic_id", None) if isinstance(value, Model) else None
            if other is not None and clinic_id is not None and other != clinic_id:
                self.add_error(name, ValidationError("This one is not in that clinic."))
        return cleaned


class ClinicFilter(admin.RelatedFieldListFilter):
    """Offers only the person's own clinics, and nothing where there is one."""

    def field_choices(self, field: Any, request: HttpRequest, model_admin: Any) -> Any:
        own = clinics_with(request, model_admin.right)
        return field.get_choices(include_blank=False, limit_choices_to={"pk__in": own})


class Picker(AutocompleteSelect):
    """Django's. What is no number names no row: Django's own asks the database for it all the same,
    to show the refused form again, and fails with a 500."""

    def optgroups(self, name: str, value: Any, attrs: Any = None) -> Any:
        keys = [key for key in value if str(key).isascii() and str(key).isdigit()]
        return super().optgroups(name, [key for key in keys if len(str(key)) < 19], attrs)


class NamedFields(BaseModelAdmin):  # type: ignore[type-arg]
    """Gives a name to inputs that Django's templates leave without: the two halves of a time, and
    what stands in a table, whose heading is no label."""

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        field = super().formfield_for_dbfield(db_field, request, **kwargs)
        if field is None:
            return field
        name = capfirst(field.label or "")
        if isinstance(field.widget, AdminSplitDateTime):
            for half, word in zip(field.widget.widgets, ("date", "time"), strict=True):
                half.attrs["aria-label"] = f"{name}: {word}"
        elif isinstance(self, InlineModelAdmin):
            field.widget.attrs["aria-label"] = name
        return field


class ClinicScopedAdmin(NamedFields, admin.ModelAdmin):  # type: ignore[type-arg]
    """Base of our admin pages. Permissions come from Membership, never from Django's own table."""

    form = ClinicForm
    right = "administer"
    clinic_path = "clinic"
    list_per_page = 50
    # The number of all rows costs a second count and is of no use beside the first.
    show_full_result_count = False
    # Nothing clinical is deleted by the dozen.
    actions: Any = None
    # What is on record when somebody opens a row; empty where it is no patient's.
    viewed = RECORD_VIEWED
    # What the page says where a row cannot be deleted.
    instead = "It is part of a medical record, which is kept."

    def _clinics(self, request: HttpRequest) -> dict[int, str]:
        return clinics_with(request, self.right)

    def _mine(self, request: HttpRequest, obj: Model | None) -> bool:
        own = self._clinics(request)
        if obj is None:
            return bool(own) or bool(request.user.is_superuser)
        value: Any = obj
        for step in self.clinic_path.split("__"):
            value = getattr(value, f"{step}_id" if step == "clinic" else step)
        # What belongs to no clinic is the operator's: a client of the whole installation.
        return value in own or (value is None and bool(request.user.is_superuser))

    def has_module_permission(self, request: HttpRequest) -> bool:
        return self._mine(request, None)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self._mine(request, obj)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return self._mine(request, None)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self._mine(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self._mine(request, obj)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        rows = super().get_queryset(request)
        mine = Q(**{f"{self.clinic_path}__in": self._clinics(request)})
        if request.user.is_superuser:
            mine |= Q(**{f"{self.clinic_path}__isnull": True})
        return rows.filter(mine)

    def get_object(self, request: HttpRequest, object_id: str, from_field: Any = None) -> Any:
        """Raises Http404 where it is nobody's or another clinic's, alike: Django's own answer is a
        redirect that says the id."""
        found = super().get_object(request, object_id, from_field)
        if found is None:
            raise Http404
        return found

    def formfield_for_foreignkey(
        self, db_field: Any, request: HttpRequest, **kwargs: Any
    ) -> ModelChoiceField[Any] | None:
        related = db_field.remote_field.model
        path = path_to_clinic(related)
        if path:
            kwargs["queryset"] = related._default_manager.filter(
                **{f"{path}__in": self._clinics(request)}
            )
        if db_field.name in self.get_autocomplete_fields(request):
            kwargs["widget"] = Picker(db_field, self.admin_site)
        field = super().formfield_for_foreignkey(db_field, request, **kwargs)
        if field and related is Clinic and len(self._clinics(request)) == 1:
            field.initial = next(iter(self._clinics(request)))
        return field

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        """Nothing of the address: a picker that it gives a made-up id fails with a 500."""
        return {}

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        fields = tuple(super().get_readonly_fields(request, obj))
        # A record that changed clinics would take its history across the border.
        if obj is not None and self.clinic_path == "clinic" and "clinic" not in fields:
            return (*fields, "clinic")
        return fields

    def get_list_display(self, request: HttpRequest) -> Any:
        """The clinic is a column only for whoever has several."""
        columns = super().get_list_display(request)
        several = len(self._clinics(request)) > 1
        return [name for name in columns if several or name != "clinic"]

    def get_list_filter(self, request: HttpRequest) -> Any:
        filters = tuple(super().get_list_filter(request))
        if self.clinic_path == "clinic" and len(self._clinics(request)) > 1:
            return (("clinic", ClinicFilter), *filters)
        return filters

    def save_model(self, request: Any, obj: Any, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        self.audit(request, obj, "changed" if change else "created", form.changed_data)

    def delete_model(self, request: Any, obj: Any) -> None:
        self.audit(request, obj, "deleted", [])
        super().delete_model(request, obj)

    def audit(self, request: Any, obj: Any, what: str, fields: list[str]) -> None:
        """One audit row, in the transaction that Django's admin holds around every write."""
        data: dict[str, Any] = {"fields": sorted(fields)} if fields else {}
        record(
            f"{self.opts.model_name}.{what}",
            clinic=self.clinic_of(obj),
            acting_user=request.user,
            patient=None if what == "deleted" else self.patient_of(obj),
            row=obj.pk,
            **data,
        )

    def clinic_of(self, obj: Any) -> Clinic | None:
        clinic: Clinic | None = obj.clinic
        return clinic

    def patient_of(self, obj: Any) -> Any:
        return getattr(obj, "patient", None)

    def render_change_form(self, request: Any, context: Any, *args: Any, **kwargs: Any) -> Any:
        """On record, as on the staff site: an operator's looking around is, too."""
        obj = kwargs.get("obj")
        if self.viewed and obj is not None and request.method == "GET":
            of = getattr(obj, "run", obj)
            record(
                self.viewed,
                clinic=obj.unmatched.clinic if "__" in self.clinic_path else obj.clinic,
                acting_user=request.user,
                patient=self.patient_of(obj),
                request=of if isinstance(of, LabRequest) else getattr(of, "request", None),
                row=f"{self.opts.model_name} {obj.pk}",
            )
        return super().render_change_form(request, context, *args, **kwargs)

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """Where something is in the way: what, and how many of it, instead of every row of it."""
        collector = NestedObjects(using=router.db_for_write(self.model), origin=objs)
        collector.collect(objs)
        if not collector.protected:
            return super().get_deleted_objects(objs, request)
        counts = Counter(type(row)._meta for row in collector.protected)
        in_the_way = [
            f"{count} {opts.verbose_name if count == 1 else opts.verbose_name_plural}"
            for opts, count in counts.most_common()
        ]
        return [], {}, set(), in_the_way

    def delete_view(
        self, request: HttpRequest, object_id: str, extra_context: Any = None
    ) -> HttpResponse:
        context = {"instead": self.instead, **(extra_context or {})}
        return self._in_zone(request, super().delete_view, object_id, context)

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        return self._in_zone(request, super().changelist_view, extra_context)

    def changeform_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        return self._in_zone(request, super().changeform_view, *args, **kwargs)

    def _in_zone(
        self, request: HttpRequest, view: Callable[..., Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        """Times are read and shown in the clinic's zone, in UTC where clinics differ."""
        zones = set(self._clinics(request).values())
        zone = zoneinfo.ZoneInfo(zones.pop() if len(zones) == 1 else "UTC")
        with timezone.override(zone):
            response: HttpResponse = view(request, *args, **kwargs)
            # A TemplateResponse would be rendered later, outside the zone.
            if hasattr(response, "render"):
                response.render()
            return response


class ReadOnlyAdmin(ClinicScopedAdmin):
    """History: looked at, never written."""

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class ReadOnlyInline(admin.TabularInline):  # type: ignore[type-arg]
    """Rows of a record that its page has already shown to be the person's own."""

    extra = 0
    can_delete = False

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return True

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False
