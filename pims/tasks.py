from __future__ import annotations

from celery import shared_task

from integrations.heska import connections
from labs.services.intake import journal, watch
from labs.services.orders import sweeping, turnaround
from labs.services.orphaned import automatic, digest
from labs.services.privacy import blanking, retention
from labs.services.reviews import escalation


@shared_task
def wake_due() -> None:
    """Orders whose next attempt has come: the first ones are seconds apart."""
    sweeping.wake_due()


@shared_task
def sweep() -> None:
    """Take up what is due: the broker may have lost any message, the rows never are."""
    try:
        sweeping.sweep()
    finally:
        journal.sweep()  # what came in does not wait for what goes out


@shared_task
def match_automatically() -> None:
    """What rule A allows, at the clinics that have it on. A task of its own: neither what comes in
    nor what goes out waits for it."""
    automatic.sweep()


@shared_task
def check_journal() -> None:
    """That nothing received is lost, and nothing waits long."""
    watch.check()


@shared_task
def forget_expired_tokens() -> None:
    """Tokens with which nobody can post any more."""
    connections.forget_expired_tokens()


@shared_task
def forget_old_events() -> None:
    """The audit is kept for AUDIT_RETENTION_DAYS."""
    retention.forget_old_events()


@shared_task
def forget_old_bodies() -> None:
    """Each clinic says how long it keeps the bodies of messages; by default for ever."""
    blanking.forget_old_bodies()


@shared_task
def learn_turnarounds() -> None:
    """How long each clinic's results usually take, for what is called overdue."""
    turnaround.learn_all()


@shared_task
def escalate() -> None:
    """Critical values that nobody has acknowledged: whoever is to know of them now."""
    escalation.sweep()


@shared_task
def send_digests() -> None:
    """Once a day to each clinic's administrators, by its own clock: what is unmatched."""
    digest.send_due()
