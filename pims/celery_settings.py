"""Celery's settings, with the figures measured for it: an attempt ends by 50 s, task limits 60 and
90 s, lease 120 s, visibility timeout 420 s (longest countdown 300 s + limit)."""

from __future__ import annotations

from typing import Any

from django.conf import settings as django

BROKER = django.VAR_DIR / "broker"
VISIBILITY = 420  # seconds until what a killed worker had in hand is given to another


def ensure_broker_folders() -> None:
    """Make the filesystem broker's folders; kombu does not, and dies where they are missing."""
    if not django.REDIS_URL:
        for name in ("messages", "control"):
            (BROKER / name).mkdir(parents=True, exist_ok=True)


ensure_broker_folders()
transport: dict[str, Any]
if django.REDIS_URL:
    url = django.REDIS_URL
    transport = {
        "visibility_timeout": VISIBILITY,
        "unacked_restore_throttle": 1,
        # A worker's own; who publishes is less patient (integrations/heska/tasks.py).
        "socket_timeout": 5,
        "socket_connect_timeout": 5,
    }
else:
    url = "filesystem://localhost"  # a name, or kombu warns that there is none
    transport = {
        "data_folder_in": str(BROKER / "messages"),
        "data_folder_out": str(BROKER / "messages"),
        "control_folder": str(BROKER / "control"),
        "polling_interval": 0.25,
    }

settings: dict[str, Any] = {
    "broker_url": url,
    "broker_transport_options": transport,
    # Celery's documentation wants it said in all three places, or one of them has its own.
    "result_backend_transport_options": {"visibility_timeout": VISIBILITY},
    "visibility_timeout": VISIBILITY,
    "broker_connection_retry_on_startup": True,
    "broker_connection_max_retries": None,  # for ever: after 100 a worker would end for good
    "task_ignore_result": True,
    "task_serializer": "json",
    "accept_content": ["json"],
    "task_acks_late": True,
    "task_reject_on_worker_lost": True,
    "worker_prefetch_multiplier": 1,
    "task_soft_time_limit": 60,
    "task_time_limit": 90,
    "task_publish_retry": False,
    "worker_soft_shutdown_timeout": 4,
    "worker_hijack_root_logger": False,
    "timezone": "UTC",
    # None of these expires: a worker whose clock is a day ahead of the scheduler's would never run
    # one. They may pile up while no worker runs, and cost little where there is nothing to do.
    "beat_schedule": {
        "wake what is due": {"task": "pims.tasks.wake_due", "schedule": 5.0},
        "sweep": {"task": "pims.tasks.sweep", "schedule": 30.0},
        "match automatically": {"task": "pims.tasks.match_automatically", "schedule": 15.0},
        "escalate": {"task": "pims.tasks.escalate", "schedule": 10.0},
        "check the journal": {"task": "pims.tasks.check_journal", "schedule": 300.0},
        # Each token call adds a row. Hourly, so that there are never many: in one installation
        # 4.4 million expired ones had come together, and deleting them at once timed out.
        "forget expired tokens": {
            "task": "pims.tasks.forget_expired_tokens",
            "schedule": 3600.0,
        },
        # Due once a day in each clinic's own time zone, half hours among them.
        "send digests": {"task": "pims.tasks.send_digests", "schedule": 600.0},
        "forget old events": {"task": "pims.tasks.forget_old_events", "schedule": 3600.0},
        "forget old bodies": {"task": "pims.tasks.forget_old_bodies", "schedule": 6 * 3600.0},
        "learn turnarounds": {"task": "pims.tasks.learn_turnarounds", "schedule": 3600.0},
    },
}
