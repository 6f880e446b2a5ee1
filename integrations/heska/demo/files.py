"""VAR_DIR/demo: logins, the simulator's script and README's shell variables. Secrets of this one
installation, readable by its owner only."""

from __future__ import annotations

import json
import os
import secrets
from dataclasses import asdict
from pathlib import Path
from typing import Any

from django.conf import settings

from integrations.heska.conf import VENDOR
from integrations.heska.connections import connect, token_url
from integrations.heska.demo.practices import PRACTICES
from labs import vendors
from labs.models import Clinic

DELAY_SECONDS = [3, 8]


def folder() -> Path:
    path = Path(settings.VAR_DIR) / "demo"
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    return path


def write(name: str, text: str) -> None:
    """Replaces the file in one step, so that nobody reads half of it."""
    path = folder() / name
    part = path.with_suffix(".part")
    part.unlink(missing_ok=True)
    with os.fdopen(os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w") as file:
        file.write(text)
    part.replace(path)


def read(name: str) -> Any:
    """The JSON in that file, or None where there is none that can be read."""
    try:
        return json.loads((folder() / name).read_text())
    except (OSError, ValueError):
        return None


def write_json(name: str, data: Any) -> None:
    write(name, json.dumps(data, indent=2) + "\n")


def write_simulator() -> None:
    """The simulator's script, with today's addresses. Credentials that are there stay; where the
    file was lost the clinics are connected anew, which makes new ones beside the old."""
    script = read("simulator.json")
    if script is None:
        script = {
            "subscription_key": secrets.token_hex(16),
            "seed": 20,
            "delay_seconds": DELAY_SECONDS,
            "clinics": [_connected(practice.public_id) for practice in PRACTICES],
        }
    for each in script["clinics"]:
        clinic = Clinic.objects.get(public_id=each["clinic_id"])
        each["pims"]["token_url"] = token_url()
        each["pims"]["unmatched_url"] = vendors.get(VENDOR).unmatched_endpoint(clinic)
    write_json("simulator.json", script)
    write("heska.env", _shell(script["clinics"][0]))


def _connected(public_id: str) -> dict[str, Any]:
    clinic = Clinic.objects.get(public_id=public_id)
    client_id, client_secret = f"demo-{public_id}", secrets.token_urlsafe(32)
    access = connect(
        acting_user=None, clinic=clinic, client_id=client_id, client_secret=client_secret
    )
    return {
        "clinic_id": public_id,
        "client_id": client_id,
        "client_secret": client_secret,
        "timezone": clinic.timezone,
        "pims": asdict(access),
    }


def _shell(clinic: dict[str, Any]) -> str:
    pims = clinic["pims"]
    values = {
        "BASE": settings.PUBLIC_BASE_URL,
        "CLIENT_ID": pims["client_id"],
        "CLIENT_SECRET": pims["client_secret"],
        "UNMATCHED_URL": pims["unmatched_url"],
    }
    return "".join(f"{name}='{value}'\n" for name, value in values.items())
