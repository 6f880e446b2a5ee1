"""Patients and their owners."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any
from uuid import UUID

from django import forms
from django.utils import timezone

from labs.errors import InvalidInput
from labs.forms.fields import YES_NO, OnlyWhatChanged
from labs.models import Clinic, Owner, Patient, Sex, Species
from labs.services.registry import adding, patients

if TYPE_CHECKING:
    from django.contrib.auth.models import User

OWNER_COLUMNS = ("first_name", "last_name", "phone", "email")
# Written as they are typed; an empty id and an unknown owner are read first.
PATIENT_COLUMNS = (
    *("name", "species", "breed", "sex", "birth_date", "birth_date_estimated", "microchip"),
    *("deceased", "deceased_on"),
)


class PatientForm(OnlyWhatChanged):
    """A patient and, in the same step, the owner: an owner id that is known names that owner, any
    other owner is added."""

    name = forms.CharField(max_length=100)
    patient_id = forms.CharField(max_length=64, required=False, label="Patient id")
    species = forms.ChoiceField(choices=Species.choices)
    breed = forms.CharField(max_length=100, required=False)
    sex = forms.ChoiceField(choices=Sex.choices, initial=Sex.UNKNOWN)
    neutered = forms.ChoiceField(
        choices=[("", "Not known"), ("yes", "Neutered"), ("no", "Intact")], required=False
    )
    birth_date = forms.DateField(
        required=False,
        widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"),
        error_messages={"invalid": "Give the birth date as a date."},
    )
    birth_date_estimated = forms.BooleanField(required=False, label="Estimated")
    microchip = forms.CharField(max_length=32, required=False)
    weight_kg = forms.DecimalField(
        required=False, min_value=0, max_digits=7, decimal_places=3, label="Weight in kg"
    )
    deceased = forms.BooleanField(required=False)
    deceased_on = forms.DateField(
        required=False, widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d")
    )
    owner_id = forms.CharField(max_length=64, required=False, label="Owner id")
    owner_first_name = forms.CharField(max_length=100, required=False, label="First name")
    owner_last_name = forms.CharField(max_length=100, required=False, label="Last name")
    owner_phone = forms.CharField(max_length=50, required=False, label="Phone")
    owner_email = forms.EmailField(required=False, label="E-mail")

    OWNER = tuple(f"owner_{name}" for name in OWNER_COLUMNS)

    def __init__(self, *args: Any, patient: Patient | None = None, **kwargs: Any) -> None:
        if patient is not None:
            kwargs["initial"] = _initial(patient)
        super().__init__(*args, **kwargs)
        if patient is not None:
            self.keep_shown()

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        born, died = data.get("birth_date"), data.get("deceased_on")
        today = timezone.localdate()
        if born and born > today:
            self.add_error("birth_date", "The birth date lies in the future.")
        if died and (died > today or (born and died < born)):
            self.add_error("deceased_on", "This date can't be right.")
        unticked = not data.get("deceased") and "deceased" in self.changed_data
        if died and unticked and "deceased_on" not in self.changed_data:
            data["deceased_on"] = None  # it lives after all
        elif died:
            data["deceased"] = True
        return data

    def identity(self, user: User, clinic: Clinic) -> dict[str, str]:
        """By what it is looked for on file (labs.queries.registry.duplicates): an owner who is
        named by id has a surname, too."""
        data = self.cleaned_data
        owners = Owner.objects.for_user(user).filter(clinic=clinic)
        owner_id = data["owner_id"].strip()
        owner = owners.filter(owner_id=owner_id).first() if owner_id else None
        given = data["owner_last_name"] or data["owner_first_name"]
        return {
            "name": data["name"],
            "surname": owner.last_name or owner.first_name if owner else given,
            "patient_id": data["patient_id"],
            "microchip": data["microchip"],
        }

    def create(self, user: User, clinic: Clinic, form_key: UUID | None = None) -> Patient:
        """Raises labs.errors.LabError. `form_key`: sent twice it adds one."""
        (patient,) = adding.once(
            acting_user=user,
            clinic=clinic,
            form_key=form_key,
            add=lambda: [self._create(user, clinic, form_key)],
            says=self._says,
        )
        return patient

    def _create(self, user: User, clinic: Clinic, form_key: UUID | None) -> Patient:
        data = self.cleaned_data
        return patients.create_patient(
            acting_user=user,
            clinic=clinic,
            patient_id=data["patient_id"],
            weight_kg=data["weight_kg"],
            owner=self._owner(user, clinic),
            form_key=form_key,
            **self._fields(),
        )

    def _says(self, made: list[Patient]) -> bool:
        """Whether this form, sent once more, says no other animal and owner than it made."""
        (patient,) = made
        given = {name: text for name, text in self.cleaned_data.items() if name in self.OWNER}
        owner = {f"owner_{name}": getattr(patient.owner, name, "") for name in OWNER_COLUMNS}
        own_id = self.cleaned_data["patient_id"].strip()
        return (
            all(getattr(patient, name) == value for name, value in self._fields().items())
            and own_id in ("", patient.patient_id)
            and all(not text or owner[name] == text.strip() for name, text in given.items())
        )

    def update(self, user: User, patient: Patient) -> bool:
        """Only what was changed in the form; returns whether anything was. Raises
        labs.errors.LabError."""
        data, changed = self.cleaned_data, set(self.changed_data)
        if changed & {"deceased", "deceased_on"}:
            changed |= {"deceased", "deceased_on"}
        fields = {name: value for name, value in self._fields().items() if name in changed}
        if "patient_id" in changed and data["patient_id"].strip():
            fields["patient_id"] = data["patient_id"].strip()
        if changed & {"owner_id", *self.OWNER}:
            fields["owner"] = self._owner(user, patient.clinic)
        patients.update_patient(acting_user=user, patient=patient, **fields)
        if "weight_kg" in changed and data["weight_kg"] is not None:
            patients.record_weight(
                acting_user=user,
                patient=patient,
                kg=data["weight_kg"],
                measured_on=timezone.localdate(),
            )
        return bool(changed)

    def _fields(self) -> dict[str, Any]:
        data = self.cleaned_data
        return {name: data[name] for name in PATIENT_COLUMNS} | {
            "neutered": YES_NO[data["neutered"]]
        }

    def _owner(self, user: User, clinic: Clinic) -> Owner | None:
        data = self.cleaned_data
        owner_id = data["owner_id"].strip()
        given = {
            name.removeprefix("owner_"): data[name].strip() for name in self.OWNER if data[name]
        }
        if owner_id:
            owners = Owner.objects.for_user(user).filter(clinic=clinic)
            known: Owner | None = owners.filter(owner_id=owner_id).first()
            if known is not None:
                if any(getattr(known, name) != text for name, text in given.items()):
                    raise InvalidInput(
                        f"Owner {owner_id} is {known}, with other details. Change them on that "
                        "owner's page; to add another owner, clear the owner id."
                    )
                return known
            if not given:
                raise InvalidInput(f"No owner has the id {owner_id}. Give a name to add the owner.")
        if not given:
            return None
        return patients.create_owner(acting_user=user, clinic=clinic, owner_id=owner_id, **given)


class DeceasedForm(forms.Form):
    deceased_on = forms.DateField(
        required=False, error_messages={"invalid": "Give the day as a date."}
    )

    def __init__(self, *args: Any, patient: Patient, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.born = patient.birth_date

    def clean_deceased_on(self) -> Any:
        died = self.cleaned_data["deceased_on"]
        if died and (died > timezone.localdate() or (self.born and died < self.born)):
            raise forms.ValidationError(
                "This day can't be right: it lies in the future or before the birth date."
            )
        return died


class OwnerForm(OnlyWhatChanged):
    first_name = forms.CharField(max_length=100, required=False)
    last_name = forms.CharField(max_length=100, required=False)
    phone = forms.CharField(max_length=50, required=False)
    email = forms.EmailField(required=False, label="E-mail")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.keep_shown()

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        if not (data.get("first_name") or data.get("last_name")):
            self.add_error("last_name", "Give a name: the owner is found by it.")
        return data

    def changed(self) -> dict[str, Any]:
        """Only what was changed in the form."""
        return {name: self.cleaned_data[name] for name in self.changed_data}


class LitterForm(forms.Form):
    """Animals that have no names yet, told apart by what they wear."""

    MOST = 20

    stem = forms.CharField(max_length=60, label="Called")
    marks = forms.CharField(
        widget=forms.Textarea(attrs={"rows": 6}), max_length=1000, label="Collars or marks"
    )
    species = forms.ChoiceField(choices=Species.choices)
    breed = forms.CharField(max_length=100, required=False)
    birth_date = forms.DateField(
        required=False,
        widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"),
        error_messages={"invalid": "Give the birth date as a date."},
    )

    def clean_marks(self) -> list[str]:
        lines = self.cleaned_data["marks"].replace(",", "\n").splitlines()
        marks = [" ".join(line.split()) for line in lines if line.strip()]
        if len(marks) > self.MOST:
            raise forms.ValidationError(f"At most {self.MOST} at once.")
        if any(len(mark) > 30 for mark in marks):
            raise forms.ValidationError("A mark is a word or two, such as “red” or “left ear”.")
        twice = {mark for mark in marks if [m.casefold() for m in marks].count(mark.casefold()) > 1}
        if twice:
            words = f"“{sorted(twice)[0]}” stands there twice: nobody could tell the two apart."
            raise forms.ValidationError(words)
        return marks

    def clean_birth_date(self) -> Any:
        born = self.cleaned_data["birth_date"]
        if born and born > timezone.localdate():
            raise forms.ValidationError("The birth date lies in the future.")
        return born


def _initial(patient: Patient) -> dict[str, Any]:
    neutered = {True: "yes", False: "no", None: ""}[patient.neutered]
    owner = patient.owner
    return {
        **{name: getattr(patient, name) for name in ("patient_id", *PATIENT_COLUMNS)},
        "neutered": neutered,
        "weight_kg": _grams(getattr(patient, "weight_kg", None)),
        "owner_id": owner.owner_id if owner else "",
        "owner_first_name": owner.first_name if owner else "",
        "owner_last_name": owner.last_name if owner else "",
        "owner_phone": owner.phone if owner else "",
        "owner_email": owner.email if owner else "",
    }


def _grams(kg: Decimal | None) -> str:
    return "" if kg is None else f"{kg.quantize(Decimal('0.001')).normalize():f}"
