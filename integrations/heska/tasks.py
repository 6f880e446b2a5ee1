from __future__ import annotations

import logging

from celery import shared_task
from kombu.exceptions import OperationalError

from integrations.heska import services

log = logging.getLogger(__name__)


@shared_task(acks_late=True, reject_on_worker_lost=True)
def deliver(submission_id: int) -> None:
    services.deliver(submission_id)


def wake(submission_id: int) -> None:
    """Publish `deliver` once, without retrying. The broker may be down (OperationalError) or its
    folder gone (OSError): the sweeper finds the row in either case, so this never raises."""
    try:
        deliver.apply_async(args=(submission_id,), retry=False)
    except (OperationalError, OSError) as error:
        log.warning("No worker was woken for submission %s: %s", submission_id, error)
