"""Forms of the set-up page. They read and check what was typed; services write."""

from __future__ import annotations

from typing import Any

from django import forms

from labs.models import Analyzer, Clinic, Panel

WEEK = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
DAYS = [(str(number), name) for number, name in enumerate(WEEK, 1)]


class CredentialsForm(forms.Form):
    """The secret is never put back into the page, not even where the form is refused."""

    client_id = forms.CharField(
        max_length=200,
        label="Client id",
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
    )
    client_secret = forms.CharField(
        max_length=4000,
        label="Client secret",
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password", "spellcheck": "false"}),
    )
    untested = forms.BooleanField(required=False)


class TestOrderForm(forms.Form):
    """Of the tests whose analyzers the clinic has. Nothing is sent without the tick."""

    __test__ = False

    panel = forms.ModelChoiceField(
        Panel.objects.none(),
        to_field_name="code",
        empty_label=None,
        label="In the worklist of",
        error_messages={"required": "Choose a test.", "invalid_choice": "Choose a test."},
    )
    agreed = forms.BooleanField(
        error_messages={"required": "Tick that you agree; nothing was sent."}
    )

    def __init__(self, *args: Any, clinic: Clinic, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        used = Analyzer.objects.filter(clinic=clinic, in_use=True).values_list("model", flat=True)
        models = set(used)
        choice: Any = self.fields["panel"]
        choice.queryset = (
            Panel.objects.filter(analyzer_model__in=models) if models else Panel.objects.all()
        )
        choice.label_from_instance = lambda panel: f"{panel.analyzer_model}: {panel.name}"


class HoursForm(forms.Form):
    days = forms.MultipleChoiceField(
        choices=DAYS,
        widget=forms.CheckboxSelectMultiple,
        error_messages={"required": "Choose at least one day."},
    )
    opens = forms.TimeField(widget=forms.TimeInput(attrs={"type": "time"}, format="%H:%M"))
    closes = forms.TimeField(widget=forms.TimeInput(attrs={"type": "time"}, format="%H:%M"))
    quiet_hours = forms.IntegerField(
        min_value=1,
        max_value=100,
        label="Warn after",
        error_messages={
            "min_value": "At least 1 hour.",
            "max_value": "At most 100 hours.",
        },
    )

    def __init__(self, *args: Any, clinic: Clinic, **kwargs: Any) -> None:
        kwargs["initial"] = {
            "days": list(clinic.open_days),
            "opens": clinic.opens,
            "closes": clinic.closes,
            "quiet_hours": clinic.quiet_hours,
        }
        super().__init__(*args, **kwargs)
