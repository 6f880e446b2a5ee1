"""Staff of a clinic: who works there, and as what. An administrator makes and changes logins here
and nowhere else, so that nobody can give a right that they do not have."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.auth.models import Group, User
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db import transaction
from django.http import HttpRequest

from labs.admin.scope import ClinicForm, ClinicScopedAdmin
from labs.models import Membership
from labs.services.people import letters, second_factor, staff, staff_changes

# Django's own pages for logins write past the audit, and know of no clinic.
for model in (User, Group):
    admin.site.unregister(model)

RULES = "At least 12 characters. Four or five unrelated words are good; nothing more is asked."
LOGIN_FIELDS = ("first_name", "last_name", "email", "is_active", "password")


def password_field(*, new: bool) -> forms.CharField:
    empty = "to send an invitation to the e-mail address" if new else "to keep the present one"
    return forms.CharField(
        label="Password" if new else "New password",
        required=False,
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
        help_text=f"{RULES} Leave empty {empty}.",
    )


class AddStaffForm(ClinicForm):
    username = forms.CharField(max_length=150)
    first_name = forms.CharField(max_length=150, required=False)
    last_name = forms.CharField(max_length=150, required=False)
    email = forms.EmailField(label="E-mail", required=False)
    password = password_field(new=True)

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean()
        username = cleaned.get("username", "")
        user = User(
            username=username,
            first_name=cleaned.get("first_name", ""),
            last_name=cleaned.get("last_name", ""),
            email=cleaned.get("email", ""),
        )
        # Not taken over by who knows its password, as by the command: one could guess here.
        if User.objects.filter(username__iexact=username).exists():
            self.add_error("username", "This username is taken. Choose another one.")
        try:
            user.clean_fields(exclude=["password"])
        except ValidationError as error:
            self.add_error("username", error.messages)
        password = cleaned.get("password", "")
        if not password and not user.email and "email" not in self.errors:
            words = "The invitation goes there. Give an address, or set a password below."
            self.add_error("email", words)
        try:
            if password:
                validate_password(password, user)
        except ValidationError as error:
            self.add_error("password", error)
        return cleaned


class ChangeStaffForm(ClinicForm):
    first_name = forms.CharField(max_length=150, required=False)
    last_name = forms.CharField(max_length=150, required=False)
    email = forms.EmailField(label="E-mail", required=False)
    is_active = forms.BooleanField(label="May sign in", required=False)
    password = password_field(new=False)
    letter = forms.BooleanField(
        label="Send a mail with which this person sets a password",
        required=False,
        help_text="The link works once, for three days. Until then the present password stays.",
    )

    lost = forms.BooleanField(
        label="Take the lost second factor away",
        required=False,
        help_text=(
            "The app and the backup codes of this person count no more, their sessions end, and a "
            "mail tells them. Make sure that it is this person who asks."
        ),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in LOGIN_FIELDS[:-1]:
            if name in self.fields:
                self.fields[name].initial = getattr(self.instance.user, name)

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean()
        if cleaned.get("letter"):
            if not cleaned.get("email") or not cleaned.get("is_active"):
                self.add_error("letter", "A mail needs an address, and a login that may sign in.")
            if cleaned.get("password"):
                self.add_error("letter", "Set a password here or send a mail, not both.")
        return cleaned

    def clean_password(self) -> str:
        password: str = self.cleaned_data["password"]
        if password:
            validate_password(password, self.instance.user)
        return password


class OwnLoginForm(ChangeStaffForm):
    """One's own: nobody shuts themselves out."""

    is_active = None  # type: ignore[assignment]  # Django: takes the field away
    letter = None  # type: ignore[assignment]
    lost = None  # type: ignore[assignment]


def login_fields(acting_user: User, user: User) -> tuple[str, ...]:
    """Which of the login's fields that person may change."""
    if not staff_changes.may_edit_login(acting_user, user):
        return ()
    own = acting_user.pk == user.pk
    return tuple(name for name in LOGIN_FIELDS if not (own and name == "is_active"))


@admin.register(Membership)
class MembershipAdmin(ClinicScopedAdmin):
    viewed = ""
    list_display = ("user", "full_name", "role", "may_sign_in", "ends_at", "clinic")
    list_select_related = ("user", "clinic")
    list_filter = ("role",)
    search_fields = ("user__username", "user__first_name", "user__last_name")

    @admin.display(description="Name")
    def full_name(self, obj: Membership) -> str:
        return obj.user.get_full_name()

    @admin.display(description="May sign in", boolean=True)
    def may_sign_in(self, obj: Membership) -> bool:
        return obj.user.is_active

    def get_form(self, request: Any, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        # A field that a form declares is read even where the page does not show it.
        if obj is None:
            kwargs["form"] = AddStaffForm
        elif names := login_fields(request.user, obj.user):
            kwargs["form"] = ChangeStaffForm if "is_active" in names else OwnLoginForm
        return super().get_form(request, obj, change=change, **kwargs)

    def get_fieldsets(self, request: Any, obj: Any = None) -> Any:
        if obj is None:
            names = ("username", "first_name", "last_name", "email", "password")
            return ((None, {"fields": ("clinic", "role", "ends_at", *names)}),)
        shown = login_fields(request.user, obj.user)
        if "is_active" in shown:
            lost = ("lost",) if second_factor.of(obj.user) else ()
            shown = (*shown, "letter", *lost)
        words = "" if shown else "The operator changes this login: it opens more than your clinics."
        return (
            (None, {"fields": ("clinic", "user", "role", "ends_at")}),
            ("Login", {"fields": shown, "description": words}),
        )

    def get_readonly_fields(self, request: Any, obj: Any = None) -> Any:
        if obj is None:
            return ()
        own = obj.user_id == request.user.pk and not request.user.is_superuser
        return ("clinic", "user", "role", "ends_at") if own else ("clinic", "user")

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        own = obj is not None and obj.user_id == request.user.pk
        return not own and super().has_delete_permission(request, obj)

    def save_model(self, request: Any, obj: Any, form: Any, change: bool) -> None:
        data = form.cleaned_data
        if not change:
            user = staff.create_staff(
                clinic=obj.clinic,
                username=data["username"],
                role=obj.role,
                password=data["password"],
                first_name=data["first_name"],
                last_name=data["last_name"],
                ends_at=obj.ends_at,
                invited=not data["password"],
                acting_user=request.user,
            )
            user.email = data["email"]
            user.save(update_fields=["email"])
            obj.pk = Membership.objects.get(user=user, clinic=obj.clinic).pk
            obj.user = user
            if not data["password"]:
                self.invite(request, obj)
            return
        before = obj.user.email
        if "role" in form.changed_data:
            staff_changes.change_role(acting_user=request.user, place=obj, role=data["role"])
        if "ends_at" in form.changed_data:
            staff_changes.change_end(acting_user=request.user, place=obj, ends_at=data["ends_at"])
        if set(form.changed_data) & set(LOGIN_FIELDS):
            staff_changes.change_login(
                acting_user=request.user,
                place=obj,
                **{name: data[name] for name in LOGIN_FIELDS if name != "is_active"},
                is_active=data.get("is_active", True),
            )
        if before and before != obj.user.email:
            letter = letters.moved(obj.user, before=before)
            transaction.on_commit(lambda: letters.post(letter))
        if data.get("letter"):
            self.invite(request, obj)
        if data.get("lost"):
            self.forget(request, obj)

    def forget(self, request: Any, place: Membership) -> None:
        letter = second_factor.reset(acting_user=request.user, place=place)

        def post() -> None:
            told = bool(letter.to) and letters.post(letter)
            said = "A mail tells them." if told else "No mail could be sent: tell them yourself."
            messages.success(request, f"The second factor is taken away. {said}")

        transaction.on_commit(post)

    def invite(self, request: Any, place: Membership) -> None:
        """By mail, once what was changed is in the database: the link is made of it."""
        letter = letters.invitation(acting_user=request.user, place=place)

        def post() -> None:
            if letters.post(letter):
                messages.success(request, f"A mail is on its way to {place.user.email}.")
                return
            messages.error(
                request,
                "The mail server did not take the mail. Send it again later from this person's "
                "page, or set a password there.",
            )

        transaction.on_commit(post)

    def delete_model(self, request: Any, obj: Any) -> None:
        staff_changes.remove(acting_user=request.user, place=obj)
