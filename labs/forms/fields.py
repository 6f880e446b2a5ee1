"""What forms of several rooms share."""

from __future__ import annotations

from uuid import UUID

from django import forms

YES_NO = {"": None, "yes": True, "no": False}
LOCAL_TIME = "%Y-%m-%dT%H:%M"


class FormKey(forms.Form):
    """Tells one form that was shown from all others, so that one that is sent twice acts once."""

    form_key = forms.UUIDField(required=False)

    def key(self) -> UUID | None:
        """None where it came with none, or with what is none."""
        self.is_valid()
        found: UUID | None = self.cleaned_data.get("form_key")
        return found
