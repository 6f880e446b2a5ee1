"""Connecting clinics to Heska, both ways: credentials that we show, clients that we take."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from django.conf import settings
from django.core.mail import send_mail
from django.db import IntegrityError, transaction
from django.urls import reverse
from django.utils import timezone
from oauth2_provider.models import clear_expired, get_application_model

from integrations.heska.answers import HeskaError
from integrations.heska.conf import VENDOR, settings_digest
from integrations.heska.fields import Unreadable
from integrations.heska.models import Connection, InboundClient
from labs import clock, roles
from labs.errors import InvalidInput, NotAllowed
from labs.ids import readable
from labs.models import Clinic, Membership, Role, SubmissionState
from labs.querysets import works_now
from labs.services.events import record
from labs.services.orders import outbox

if TYPE_CHECKING:
    from django.contrib.auth.models import User

log = logging.getLogger(__name__)
Application = get_application_model()
# 128 characters: its hasher is quick because guessing such a secret is hopeless (hashers.py).
SECRET_LENGTH = 128
TAKEN = "Another clinic is connected with this client id. Check which is whose."
# No token, nothing refused: what was learnt of the pair before, or under other settings, is void.
# Not read where they are not used: under a key that is lost they can't be, and whoever enters the
# secret anew, or waits for that, must not fail of it.
SECRETS = ("client_secret", "token")
AS_NEW = {
    "token": "",
    "token_expires_at": None,
    "token_id": None,
    "token_lease": None,
    "token_not_before": None,
    "token_failures": 0,
    "token_error": "",
    "token_refusals": 0,
    "refused_at": None,
    "refused_why": "",
    "refused_words": "",
    "held_with": "",
}


@dataclass(frozen=True, kw_only=True)
class Access:
    """What Heska is given for its way in. The secret is stored hashed only: this is the one time
    that it can be shown."""

    token_url: str
    client_id: str
    client_secret: str


def connect(
    *, acting_user: User | None, clinic: Clinic, client_id: str, client_secret: str
) -> Access:
    """Store what Heska gave the clinic, encrypted, and make a client for Heska's way in. Called
    again it replaces the one and adds another client beside the earlier ones, which stay valid
    until an administrator deletes them: so secrets can be rotated without a gap.

    Raises InvalidInput where one is empty or the client id is another clinic's; NotAllowed.
    """
    roles.require(acting_user, clinic, "administer")
    client_id, client_secret = checked(clinic, client_id, client_secret)
    with transaction.atomic():
        store(
            acting_user=acting_user,
            clinic=clinic,
            client_id=client_id,
            client_secret=client_secret,
        )
        access = create_client(acting_user=acting_user, clinic=clinic)
        record("heska.connected", clinic=clinic, acting_user=acting_user, source="command")
    return access


def checked(clinic: Clinic, client_id: str, client_secret: str) -> tuple[str, str]:
    """The pair as it is stored. Raises InvalidInput where one is empty or the client id is another
    clinic's."""
    client_id, client_secret = client_id.strip(), client_secret.strip()
    if not client_id or not client_secret:
        raise InvalidInput("Both the client id and the secret that Heska gave are needed.")
    if len(client_id) > 200:
        raise InvalidInput("The client id is longer than 200 characters.")
    if Connection.objects.filter(client_id=client_id).exclude(clinic=clinic).exists():
        raise InvalidInput(TAKEN)
    return client_id, client_secret


def store(
    *,
    acting_user: User | None,
    clinic: Clinic,
    client_id: str,
    client_secret: str,
    proven: bool = False,
) -> None:
    """In the caller's transaction. A new pair: the token got with the old one is dropped, and held
    orders go again. `proven`: Heska has just given a token for it.

    Raises InvalidInput where another clinic has the client id, also from this moment on.
    """
    own = Connection.objects.filter(clinic=clinic, client_id=client_id)
    earlier = own.values_list("proven_at", flat=True).first()
    try:
        with transaction.atomic():
            Connection.objects.defer(*SECRETS).update_or_create(
                clinic=clinic,
                defaults={
                    "client_id": client_id,
                    "client_secret": client_secret,
                    "proven_at": earlier or (timezone.now() if proven else None),
                    "entered_at": timezone.now(),
                    "entered_by": acting_user,
                    **AS_NEW,
                },
            )
    except IntegrityError as error:
        raise InvalidInput(TAKEN) from error
    outbox.release(clinic=clinic, vendor=VENDOR)


def proven(connection: Connection) -> None:
    """Heska has given a token for the pair that was read with `connection`: the client id is this
    clinic's, and an address that names it leads to it (`services.addresses.clinic_named`)."""
    Connection.objects.filter(
        pk=connection.pk, client_id=connection.client_id, proven_at=None
    ).update(proven_at=timezone.now())


def stop(connection: Connection, error: HeskaError, settle: Callable[[], None]) -> bool:
    """Heska refuses the set-up with which it was asked. `settle` holds the order that found out;
    where no other can get through either (`stops_clinic`), the clinic's whole queue is held and
    its administrators are told. False, and nothing is done, where new credentials were entered
    while Heska was asked."""
    with transaction.atomic():
        # The row's lock keeps `connect` and `resume` out: they release what is held here.
        now = Connection.objects.select_for_update().select_related("clinic").get(pk=connection.pk)
        used = (connection.client_id, connection.client_secret)
        if (now.client_id, now.client_secret) != used:
            return False
        settle()
        _stop(now, str(error), error.words, whole_clinic=error.stops_clinic)
    return True


def stop_unreadable(clinic: Clinic, settle: Callable[[], None]) -> bool:
    """As `stop`, where our own key for the clinic's secret is lost; put back, it goes by itself
    (`look_again`). False where the secret was entered anew since."""
    with transaction.atomic():
        try:
            Connection.objects.select_for_update().get(clinic=clinic)
        except Unreadable as error:
            settle()
            unread = Connection.objects.defer(*SECRETS).select_related("clinic")
            _stop(unread.get(clinic=clinic), str(error), "", whole_clinic=True)
            return True
    return False


def _stop(now: Connection, error: str, words: str, *, whole_clinic: bool) -> None:
    """With the row locked."""
    now.held_with = settings_digest()
    if whole_clinic and now.refused_at is None:
        now.refused_at = clock.read()
        now.refused_why, now.refused_words = error, words
        record("heska.refused", clinic=now.clinic, source=VENDOR, error=error)
        transaction.on_commit(partial(_tell_administrators, now))
    now.save(update_fields=["held_with", "refused_at", "refused_why", "refused_words"])
    if now.refused_at:
        _hold(now)


def hold_if_stopped(submission_id: int) -> bool:
    """True, and the order waits with the rest of its clinic's queue, where Heska has refused the
    clinic's set-up: nothing is sent. One statement where all is well."""
    unread = Connection.objects.defer(*SECRETS)
    stopped = unread.filter(clinic__submission=submission_id, refused_at__isnull=False).first()
    if stopped is None:
        return False
    with transaction.atomic():
        now = unread.select_for_update().select_related("clinic").get(pk=stopped.pk)
        if now.refused_at is None:
            return False
        _hold(now)
    return True


def _hold(connection: Connection) -> None:
    outbox.hold(
        clinic=connection.clinic,
        vendor=VENDOR,
        error=connection.refused_why,
        words=connection.refused_words,
    )


def resume(*, acting_user: User | None, clinic: Clinic) -> None:
    """Somebody says that what stopped the clinic's orders is mended. If it is not, the first of
    them stops the queue again. Raises NotAllowed."""
    roles.require(acting_user, clinic, "order")
    with transaction.atomic():
        list(Connection.objects.select_for_update().only("pk").filter(clinic=clinic))
        Connection.objects.filter(clinic=clinic).update(**AS_NEW)
        record("heska.resumed", clinic=clinic, acting_user=acting_user, source="system")
        outbox.release(clinic=clinic, vendor=VENDOR)


def look_again() -> None:
    """Release what was held with other settings than today's, such as another subscription key."""
    held = Connection.objects.defer(*SECRETS).filter(clinic__submission__state=SubmissionState.HELD)
    for connection in held.exclude(held_with=settings_digest()).distinct():
        resume(acting_user=None, clinic=connection.clinic)


def _tell_administrators(connection: Connection) -> None:
    """By mail, once for each time that the queue stops. A mail server that is down must not keep
    the orders: what the mail says stands on the page of each of them too."""
    clinic = connection.clinic
    addresses = list(
        Membership.objects.filter(works_now(), clinic=clinic, role=Role.ADMIN, user__is_active=True)
        .exclude(user__email="")
        .values_list("user__email", flat=True)
    )
    if not addresses:
        return
    said = f"\nIt says: {connection.refused_words}\n" if connection.refused_words else ""
    page = reverse("heska_pages:health", args=[clinic.public_id])
    try:
        send_mail(
            subject=f"{clinic}: orders to Heska are waiting",
            message=f"{connection.refused_why}\n{said}\n"
            "No order of this clinic is sent until then. Orders that wait go by themselves once "
            "the credentials are entered; “Try again” on the page of one of them asks Heska once "
            f"more.\n\n{settings.PUBLIC_BASE_URL}{page}\n",
            from_email=None,
            recipient_list=addresses,
        )
    except OSError as error:  # SMTPException is one
        log.warning("The administrators of %s were not mailed: %s", clinic.public_id, error)


def create_client(*, acting_user: User | None, clinic: Clinic | None) -> Access:
    """An OAuth client (client credentials, no user) with which Heska posts results: for one clinic,
    or for the whole installation. Its secret is returned once. Raises NotAllowed."""
    if clinic is not None:
        roles.require(acting_user, clinic, "administer")
    elif acting_user is not None and not acting_user.is_superuser:
        raise NotAllowed("A client for every clinic is made by the operator.")
    client_id, client_secret = f"{VENDOR}-{readable(12).lower()}", readable(SECRET_LENGTH)
    with transaction.atomic():
        application = Application.objects.create(
            name=f"Heska, {clinic.public_id if clinic else 'every clinic'}",
            client_id=client_id,
            client_secret=client_secret,  # hashed when it is saved
            client_type=Application.CLIENT_CONFIDENTIAL,
            authorization_grant_type=Application.GRANT_CLIENT_CREDENTIALS,
            user=None,
        )
        InboundClient.objects.create(application=application, clinic=clinic, made_by=acting_user)
        record(
            "heska.client_created",
            clinic=clinic,
            acting_user=acting_user,
            source="command",
            client_id=client_id,
        )
    return Access(token_url=token_url(), client_id=client_id, client_secret=client_secret)


def token_url() -> str:
    return f"{settings.PUBLIC_BASE_URL}{reverse('heska:token')}"


def forget_expired_tokens() -> None:
    """Delete bearer tokens that have expired, in batches of 10,000 with a pause between them
    (django-oauth-toolkit's own; CLEAR_EXPIRED_TOKENS_BATCH_SIZE)."""
    clear_expired()
