"""Signing in, and asking for a new password."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib.auth.forms import AuthenticationForm

from labs.address import client_address
from labs.services.people import guessing
from labs.services.people.guessing import Turn

if TYPE_CHECKING:
    from collections.abc import Callable


class SignInForm(AuthenticationForm):
    error_messages = {
        "invalid_login": (
            "This user name and password don't belong together. Check for capitals and try again, "
            "or ask your administrator for a new password."
        ),
        "inactive": "This login is switched off. Ask your administrator.",
        "wait": "Too many wrong tries from here. Wait %(wait)s, then try again.",
    }
    turn = Turn()

    def __init__(self, request: Any = None, *args: Any, device: Any = None, **kwargs: Any) -> None:
        super().__init__(request, *args, **kwargs)
        # Of a username: the name of the browser where it has signed in before.
        self.device_of: Callable[[str], str] = device or (lambda username: "")

    def clean(self) -> dict[str, Any]:
        username = self.cleaned_data.get("username", "")
        if not username or not self.cleaned_data.get("password") or self.request is None:
            return self.cleaned_data
        self.turn = guessing.turn(
            username, address=client_address(self.request), device=self.device_of(username)
        )
        if self.turn.wait:
            wait = "a second" if self.turn.wait == 1 else f"{self.turn.wait} seconds"
            words = self.error_messages["wait"]
            raise forms.ValidationError(words, code="wait", params={"wait": wait})
        cleaned: dict[str, Any] = super().clean()
        guessing.right(self.turn)
        return cleaned


class ForgottenForm(forms.Form):
    login = forms.CharField(
        max_length=254,
        error_messages={
            "required": "Type your user name or your e-mail address.",
            "max_length": "This is too long for a user name or an e-mail address.",
        },
    )
