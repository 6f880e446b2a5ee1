"""The simulator's script: clinics, their credentials, how fast they work, and what goes wrong."""

from __future__ import annotations

import json
import math
import secrets
import zoneinfo
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .entries import ScriptError, read_object, read_text, read_url
from .rules import Rule, read_rules

DEFAULT_DELAY = (3.0, 8.0)


@dataclass(frozen=True)
class Pims:
    """What Heska was given by the PIMS for the way in."""

    token_url: str
    client_id: str
    client_secret: str = field(repr=False)
    unmatched_url: str


@dataclass(frozen=True)
class Clinic:
    """A clinic: `client_id` and `client_secret` are what its PIMS shows Heska."""

    clinic_id: str
    client_id: str
    client_secret: str = field(repr=False)
    pims: Pims
    timezone: str | None = None

    def zone(self) -> zoneinfo.ZoneInfo | None:
        return zoneinfo.ZoneInfo(self.timezone) if self.timezone else None


@dataclass(frozen=True)
class Script:
    """`delay_seconds` is the shortest and the longest time that one test takes."""

    subscription_key: str = field(repr=False)
    key_is_new: bool = False
    seed: int = 1
    delay_seconds: tuple[float, float] = DEFAULT_DELAY
    clinics: tuple[Clinic, ...] = ()
    faults: tuple[Rule, ...] = ()


def empty_script() -> Script:
    """No clinics, and a subscription key of its own."""
    return read_script({})


def load_script(path: Path) -> Script:
    """Read and check a script file.

    Raises ScriptError.
    """
    try:
        data = json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise ScriptError(f"Cannot read the script {path}: {error.strerror}.") from error
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise ScriptError(f"The script {path} is not JSON, {place}: {error.msg}.") from error
    except (ValueError, RecursionError) as error:
        raise ScriptError(f"The script {path} is not JSON: {error}.") from error
    return read_script(data)


def read_script(data: Any) -> Script:
    """Check a script that was read from JSON.

    Raises ScriptError.
    """
    script = read_object(
        data,
        "the script",
        frozenset(),
        {"subscription_key", "seed", "delay_seconds", "clinics", "faults"},
    )
    seed = script.get("seed", 1)
    if isinstance(seed, bool) or not isinstance(seed, int):
        raise ScriptError("In the script, seed must be a whole number.")
    clinics = script.get("clinics", [])
    if not isinstance(clinics, list):
        raise ScriptError("In the script, clinics must be a list.")
    read = tuple(read_clinic(each, f"clinics[{i}]") for i, each in enumerate(clinics))
    for name in ("clinic_id", "client_id"):
        seen = [getattr(clinic, name) for clinic in read]
        twice = sorted({value for value in seen if seen.count(value) > 1})
        if twice:
            raise ScriptError(f"In the script, two clinics have the {name} {twice[0]}.")
    given = "subscription_key" in script
    return Script(
        subscription_key=read_text(script, "subscription_key", "the script")
        if given
        else secrets.token_hex(16),
        key_is_new=not given,
        seed=seed,
        delay_seconds=_delay(script.get("delay_seconds", list(DEFAULT_DELAY))),
        clinics=read,
        faults=read_rules(script.get("faults", [])),
    )


def read_clinic(data: Any, where: str) -> Clinic:
    """Check one clinic of a script; `where` names it in errors.

    Raises ScriptError.
    """
    clinic = read_object(
        data, where, {"clinic_id", "client_id", "client_secret", "pims"}, {"timezone"}
    )
    there = f"{where}.pims"
    pims = read_object(
        clinic["pims"], there, {"token_url", "client_id", "client_secret", "unmatched_url"}
    )
    return Clinic(
        clinic_id=read_text(clinic, "clinic_id", where),
        client_id=read_text(clinic, "client_id", where),
        client_secret=read_text(clinic, "client_secret", where),
        pims=Pims(
            token_url=read_url(pims, "token_url", there),
            client_id=read_text(pims, "client_id", there),
            client_secret=read_text(pims, "client_secret", there),
            unmatched_url=read_url(pims, "unmatched_url", there),
        ),
        timezone=_zone(clinic.get("timezone"), where),
    )


def _delay(value: Any) -> tuple[float, float]:
    if (
        isinstance(value, list)
        and len(value) == 2
        and all(isinstance(v, int | float) and not isinstance(v, bool) for v in value)
        and all(math.isfinite(v) for v in value)
        and 0 <= value[0] <= value[1] <= 3600
    ):
        return float(value[0]), float(value[1])
    raise ScriptError("In the script, delay_seconds must be [shortest, longest] within 0 and 3600.")


def _zone(value: Any, where: str) -> str | None:
    if value is None:
        return None
    try:
        zoneinfo.ZoneInfo(value)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, TypeError, OSError) as error:
        raise ScriptError(f"In {where}, timezone must be a name like Europe/Vienna.") from error
    return str(value)
