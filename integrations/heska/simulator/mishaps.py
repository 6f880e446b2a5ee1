"""Faults of messages to the PIMS: what is sent in the place of one message, and when."""

from __future__ import annotations

import dataclasses
import datetime
import json
import threading
from collections.abc import Callable
from typing import Any

from .cloud import Cloud, Delivery, copy_of, delivery_of, new_message_id, now
from .corrections import NothingToCorrect, another_run, cancellation, correction
from .rules import Event, Rule

Planned = list[tuple[Delivery, float]]  # each with the seconds until it is sent

FOLLOWS: dict[str, tuple[str, Callable[..., dict[str, Any]]]] = {
    "corrected": ("correction", correction),
    "cancelled": ("cancellation", cancellation),
    "run_again": ("rerun", another_run),
}


def event_of(delivery: Delivery) -> Event:
    """What a message is about, for the rules."""
    built = json.loads(delivery.body)
    return Event(
        delivery.kind,
        clinic_id=delivery.clinic.clinic_id,
        lab_report_id=delivery.lab_report_id or "",
        patient=str((built.get("Patient") or {}).get("Name") or ""),
        test_codes=tuple(str(block.get("TestCode") or "") for block in built["Tests"]),
    )


def planned(cloud: Cloud, delivery: Delivery, rule: Rule | None) -> Planned:
    """What happens to a message under a rule; as it is, at once, where there is none."""
    options = rule.options if rule else {}
    match rule.do if rule else "":
        case "lost":
            cloud.set_state(cloud.log(delivery), "lost")
            delivery.tried.set()
            return []
        case "late":
            return [(_due(delivery, options["seconds"]), options["seconds"])]
        case "swapped":
            delivery.held = True
            return [(_due(delivery, options["seconds"]), options["seconds"])]
        case "twice":
            copies = [copy_of(delivery) for _ in range(options["times"] - 1)]
            return [(each, 0.0) for each in (delivery, *copies)]
        case "broken_off":
            delivery.broken_off = True
        case "misdirected":
            return [(_misdirected(cloud, delivery, options["to"]), 0.0)]
        case "corrected" | "cancelled" | "run_again" as what:
            after = follow_up(cloud, delivery, what)
            wait = options["seconds"]
            return [(delivery, 0.0), *([(_due(after, wait), wait)] if after else [])]
    return [(delivery, 0.0)]


def follow_up(cloud: Cloud, sent: Delivery, what: str) -> Delivery | None:
    """The correction, cancellation or other run that follows a final message; else None."""
    original = json.loads(sent.body)
    if original["Status"] != "Final":
        return None
    kind, build = FOLLOWS[what]
    version = cloud.next_version(sent.heska_report_id, original["ReportVersion"] + 1)
    try:
        built = build(original, message_id=new_message_id(), version=version, now=now())
    except NothingToCorrect:
        return None
    return delivery_of(built, sent.url, kind, sent.clinic)


def _misdirected(cloud: Cloud, delivery: Delivery, clinic_id: str) -> Delivery:
    """To a request of that clinic, or its unmatched URL; under the token of the right clinic."""
    clinic = cloud.clinic(clinic_id)
    url = cloud.endpoint_of(clinic_id) or (clinic.pims.unmatched_url if clinic else delivery.url)
    return dataclasses.replace(delivery, url=url, tried=threading.Event())


def _due(delivery: Delivery, seconds: float) -> Delivery:
    delivery.next_at = now() + datetime.timedelta(seconds=seconds)
    return delivery
