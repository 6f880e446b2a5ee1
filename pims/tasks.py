from __future__ import annotations

from celery import shared_task

from labs.services import journal, submissions


@shared_task
def sweep() -> None:
    """Take up what is due: the broker may have lost any message, the rows never are."""
    submissions.sweep()
    journal.sweep()
