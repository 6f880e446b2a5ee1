"""Celery wakes the outbox; the row is the queue (labs/services/orders/submissions.py)."""

from __future__ import annotations

import logging.config
import os
from typing import Any

from celery import Celery
from celery.signals import setup_logging, task_postrun, task_prerun

from pims import log

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "pims.settings")

app = Celery("pims")
app.config_from_object("pims.celery_settings:settings")
app.autodiscover_tasks(["pims", "integrations.heska"])


@setup_logging.connect
def _same_log_as_the_web(**_: Any) -> None:
    from django.conf import settings

    logging.config.dictConfig(settings.LOGGING)


@task_prerun.connect
def _name_the_task(task_id: str, **_: Any) -> None:
    log.current_id.set(task_id[:16])


@task_postrun.connect
def _forget_the_task(**_: Any) -> None:
    log.current_id.set("-")
