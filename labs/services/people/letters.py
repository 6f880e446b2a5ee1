"""Mail with a link by which a person sets their own password: because they forgot it, or because an
administrator added them.

A link is good once: it is made of the password, of the last time that the person signed in, and of
whether they may. It is not kept anywhere. What the sign-in page answers depends in no way on
whether somebody has that name or address: who it is, is looked up after the answer, on a thread of
its own.
"""

from __future__ import annotations

import logging
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import timedelta
from typing import TYPE_CHECKING

from django.conf import settings
from django.contrib.auth.models import User
from django.contrib.auth.tokens import PasswordResetTokenGenerator
from django.core.mail import EmailMessage
from django.db import connections
from django.db.models import Q
from django.urls import reverse
from django.utils.encoding import force_bytes
from django.utils.http import urlsafe_base64_encode

from labs import roles
from labs.errors import InvalidInput, NotAllowed
from labs.services.events import record
from labs.services.people import signing_in
from labs.services.people.staff_changes import may_edit_login

if TYPE_CHECKING:
    from labs.models import Membership

log = logging.getLogger(__name__)
# An invitation waits for somebody's first day at work; who forgot the password sits at the page.
INVITED = timedelta(days=3)
# One thread: a mail server that hangs keeps no more than that, and the page answers all the same.
_thread = ThreadPoolExecutor(1, thread_name_prefix="letters")


class Tokens(PasswordResetTokenGenerator):
    """Django's, which end PASSWORD_RESET_TIMEOUT seconds after their time."""

    key_salt = "labs.letters"

    def _make_hash_value(self, user: User, timestamp: int) -> str:
        return f"{super()._make_hash_value(user, timestamp)}{user.is_active}"

    def make_invitation(self, user: User) -> str:
        """One that lives for INVITED: it says that it was made later than it was."""
        later = int(INVITED.total_seconds()) - settings.PASSWORD_RESET_TIMEOUT
        made = self._num_seconds(self._now()) + later
        token: str = self._make_token_with_timestamp(
            user,
            made,
            self.secret,
        )
        return token


tokens = Tokens()


def ask(typed: str) -> Future[None]:
    """Somebody at the sign-in page forgot their password, and typed a user name or an address. To
    whom it belongs a mail is sent, at the address on record. Returns at once."""
    return _thread.submit(_answer, typed)


def _answer(typed: str) -> None:
    try:
        people = User.objects.filter(is_active=True).exclude(email="")
        for user in people.filter(Q(username=typed) | Q(email__iexact=typed)):
            signing_in.asked_for_mail(user)
            _forgotten(user).send()
    except Exception:
        # Nobody waits for this thread's answer. The person is told to ask again.
        log.exception("A mail to set a password could not be sent")
    finally:
        connections.close_all()


def invitation(*, acting_user: User, place: Membership) -> EmailMessage:
    """The mail with which that person sets their password, on record and to be given to `post` when
    the transaction has ended. Raises NotAllowed, InvalidInput where it would reach nobody."""
    user = place.user
    if not acting_user.is_superuser:
        roles.require(acting_user, place.clinic, "administer")
    if not may_edit_login(acting_user, user):
        raise NotAllowed("This person works at another clinic too; ask the operator.")
    if not user.email or not user.is_active:
        raise InvalidInput("An invitation needs an e-mail address, and a login that may sign in.")
    record("staff.invited", clinic=place.clinic, acting_user=acting_user, user=user.pk)
    clinic = " ".join(place.clinic.name.split())
    return EmailMessage(
        subject=f"Your login for {clinic}",
        body=(
            f"{clinic} has made a login for you, to its laboratory results.\n\n"
            f"Your user name: {user.get_username()}\n"
            "Set your password within three days here:\n\n"
            f"{_link(user, tokens.make_invitation(user))}\n\n"
            "If you did not expect this, tell the clinic and delete it.\n"
        ),
        to=[user.email],
    )


def post(letter: EmailMessage) -> bool:
    """Whether the mail server took it."""
    try:
        letter.send()
    except OSError as error:  # SMTPException is one
        log.warning("An invitation was not sent: %s", error)
        return False
    return True


def moved(user: User, *, before: str) -> EmailMessage:
    """To the address that was theirs: else whoever changes it could take a login over, and every
    letter that tells of it would go to themselves."""
    return EmailMessage(
        subject="The e-mail address of your Lab login was changed",
        body=(
            f"An administrator has changed the e-mail address of your login {user.get_username()}. "
            "Mail about it no longer comes here.\n\n"
            "If you did not ask for it, tell your clinic.\n"
        ),
        to=[before],
    )


def _forgotten(user: User) -> EmailMessage:
    return EmailMessage(
        subject="Set a new password for Lab",
        body=(
            "Somebody asked at the sign-in page for a new password.\n\n"
            f"Your user name: {user.get_username()}\n"
            "Set a new password within an hour here; the link works once:\n\n"
            f"{_link(user, tokens.make_token(user))}\n\n"
            "If that was not you, do nothing: your password stays as it is.\n"
        ),
        to=[user.email],
    )


def _link(user: User, token: str) -> str:
    # Never by the request's Host header, which the asker writes.
    uid = urlsafe_base64_encode(force_bytes(user.pk))
    return f"{settings.PUBLIC_BASE_URL}{reverse('labs:new_password', args=[uid, token])}"
