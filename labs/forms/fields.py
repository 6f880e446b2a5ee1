"""What forms of several rooms share."""

from __future__ import annotations

from uuid import UUID

from django import forms

YES_NO = {"": None, "yes": True, "no": False}
LOCAL_TIME = "%Y-%m-%dT%H:%M"


class OnlyWhatChanged(forms.Form):
    """A form of what is on file: what a colleague changes while it is open is left alone, because
    it carries what it was opened with. Without that, as from a program, it is compared with what
    is on file now."""

    def keep_shown(self) -> None:
        for name, field in self.fields.items():
            field.show_hidden_initial = (
                not self.is_bound or self.add_initial_prefix(name) in self.data
            )


class FormKey(forms.Form):
    """Tells one form that was shown from all others, so that one that is sent twice acts once."""

    form_key = forms.UUIDField(required=False)

    def key(self) -> UUID | None:
        """None where it came with none, or with what is none."""
        self.is_valid()
        found: UUID | None = self.cleaned_data.get("form_key")
        return found
