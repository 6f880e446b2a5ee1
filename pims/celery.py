"""Celery only wakes the outbox: the database row is the queue (labs/services/submissions.py)."""

from __future__ import annotations

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "pims.settings")

app = Celery("pims")
app.config_from_object("pims.celery_settings:settings")
app.autodiscover_tasks(["pims", "integrations.heska"])
