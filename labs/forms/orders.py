"""Tests that are ordered."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from django import forms
from django.utils import timezone

from labs.forms.fields import LOCAL_TIME, YES_NO
from labs.models import Clinic, LabRequest, Membership, Panel, Priority, Role
from labs.services.orders.ordering import Collection

if TYPE_CHECKING:
    from django.contrib.auth.models import User


class RequestForm(forms.Form):
    """The order itself; the patient is chosen before."""

    panels = forms.ModelMultipleChoiceField(
        Panel.objects.none(),
        to_field_name="code",
        error_messages={
            "required": "Choose at least one test.",
            "invalid_choice": "Test %(value)s can't be ordered here.",
        },
    )
    priority = forms.ChoiceField(choices=Priority.choices, initial=Priority.ROUTINE)
    doctor = forms.CharField(max_length=100, required=False)
    notes = forms.CharField(
        max_length=2000, required=False, widget=forms.Textarea(attrs={"rows": 2})
    )
    collected_at = forms.DateTimeField(
        required=False,
        input_formats=[LOCAL_TIME, "%Y-%m-%dT%H:%M:%S"],
        widget=forms.DateTimeInput(attrs={"type": "datetime-local"}, format=LOCAL_TIME),
        error_messages={"invalid": "Give the time of collection as date and time."},
    )
    collected_by = forms.CharField(max_length=100, required=False)
    label = forms.CharField(max_length=50, required=False)
    fasting = forms.ChoiceField(
        choices=[("", "Not known"), ("yes", "Fasted"), ("no", "Not fasted")], required=False
    )
    weight_kg = forms.DecimalField(
        required=False,
        min_value=0,
        max_digits=7,
        decimal_places=3,
        label="Weight today, in kg",
        error_messages={"invalid": "Give the weight in kilograms, such as 4.2."},
    )

    def __init__(
        self,
        *args: Any,
        panels: list[Panel],
        user: User,
        clinic: Clinic,
        beside: LabRequest | None = None,
        **kwargs: Any,
    ) -> None:
        """`beside`: an earlier request; what is added is run from its specimen, unless one says
        otherwise."""
        super().__init__(*args, **kwargs)
        choice: Any = self.fields["panels"]
        choice.queryset = Panel.objects.filter(pk__in=[panel.pk for panel in panels])
        names = {
            membership.user: membership.role
            for membership in Membership.objects.filter(clinic=clinic).select_related("user")
        }
        self.doctors = sorted(_name(person) for person, role in names.items() if role == Role.VET)
        self.fields["collected_by"].initial = _name(user)
        self.fields["collected_at"].initial = timezone.localtime().replace(second=0, microsecond=0)
        if names.get(user) == Role.VET:
            self.fields["doctor"].initial = _name(user)
        if beside:
            self.fields["doctor"].initial = beside.doctor
            self.fields["priority"].initial = beside.priority
            for specimen in beside.specimen_set.all()[:1]:
                self.fields["collected_at"].initial = specimen.collected_at
                self.fields["collected_by"].initial = specimen.collected_by
                self.fields["label"].initial = specimen.label
                fasting = {True: "yes", False: "no", None: ""}[specimen.fasting]
                self.fields["fasting"].initial = fasting

    def clean_collected_at(self) -> Any:
        at = self.cleaned_data["collected_at"]
        if at and at > timezone.now() + timedelta(minutes=10):
            raise forms.ValidationError("The sample can't have been collected in the future.")
        return at

    def chosen(self) -> list[str]:
        """Codes of the panels that are ticked, also where the form is not valid yet."""
        data: Any = self.data
        return list(data.getlist("panels") if self.is_bound else self.initial.get("panels", []))

    def order(self) -> dict[str, Any]:
        """The keyword arguments of `place_request`."""
        data = self.cleaned_data
        return {
            "panels": list(data["panels"]),
            "priority": data["priority"],
            "doctor": data["doctor"].strip(),
            "notes": data["notes"].strip(),
            "collection": Collection(
                collected_at=data["collected_at"],
                collected_by=data["collected_by"].strip(),
                label=data["label"].strip(),
                fasting=YES_NO[data["fasting"]],
            ),
        }


def _name(user: Any) -> str:
    return user.get_full_name() or str(user.get_username())
