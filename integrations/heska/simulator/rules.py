"""A script's faults: what may go wrong, when, and for whom. The table here is their documentation:
docs/simulator.md is written from it, and a test compares the two."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from types import MappingProxyType
from typing import Any

from .entries import ScriptError, is_url, read_object

CALLS = ("token", "order")
MESSAGES = ("result", "unmatched")
# What a rule may name under `on`, and what that covers.
COVERS = {
    "token": ("token",),
    "order": ("order",),
    "call": CALLS,
    "result": ("result",),
    "unmatched": ("unmatched",),
    "message": MESSAGES,
    "connection": ("connection",),
}
CERTIFICATES = ("private", "self-signed", "expired", "wrong-host")
SHAPES = ("problem", "wrapped", "text", "plain")
LONGEST = 86_400.0


@dataclass(frozen=True)
class Fault:
    """One kind of fault. `on`: what it happens to where the rule says nothing. `takes`: its options
    and what they are if left out. `taken`: whether an order has reached Heska all the same."""

    on: str
    says: str
    takes: Mapping[str, Any] = field(default_factory=dict)
    taken: bool = False


FAULTS: Mapping[str, Fault] = MappingProxyType(
    {
        "slow": Fault("order", "answers after `seconds`", {"seconds": 20.0}, taken=True),
        "cut": Fault("order", "breaks off in the middle of the answer", taken=True),
        "reset": Fault("order", "resets the connection instead of answering", taken=True),
        "silent": Fault("order", "keeps the connection and never answers", taken=True),
        "drip": Fault("order", "answers one byte every `seconds`", {"seconds": 1.0}, taken=True),
        "missing_key": Fault("call", "401: the subscription key is missing"),
        "invalid_key": Fault("call", "401: the subscription key is not valid"),
        "stale_token": Fault("order", "401: the access token is missing"),
        "wrong_credentials": Fault("token", "401: Invalid User or Password"),
        "quota": Fault("order", "403: out of call volume quota", {"retry_after": None}),
        "not_found": Fault("order", "404: resource not found"),
        "refused": Fault(
            "order", "`status`, worded in a `shape`", {"status": 400, "shape": "problem"}
        ),
        "already_there": Fault("order", "409: this LabReportId already exists"),
        "busy": Fault("order", "429: rate limit exceeded", {"retry_after": None}),
        "unavailable": Fault(
            "order", "`status`, not available", {"status": 503, "retry_after": None}
        ),
        "html": Fault("order", "`status` with a proxy's HTML page", {"status": 200}),
        "empty": Fault("order", "200 with no body", taken=True),
        "garbled": Fault("order", "200 with a body that is no JSON", taken=True),
        "wrong_id": Fault("order", "200 that names another order", taken=True),
        "huge": Fault("order", "200 with an answer of `megabytes`", {"megabytes": 2}, taken=True),
        "redirect": Fault("order", "`status` to the address `to`", {"status": 307, "to": ...}),
        "bad_certificate": Fault("connection", "a certificate that is `kind`", {"kind": ...}),
        "lost": Fault("result", "is never sent"),
        "late": Fault("result", "is sent `seconds` later", {"seconds": 30.0}),
        "swapped": Fault(
            "result", "waits until the next of its report is there, or `seconds`", {"seconds": 10.0}
        ),
        "twice": Fault("result", "is sent `times` times, byte for byte", {"times": 2}),
        "broken_off": Fault("result", "stops in the middle of its body, and is tried again"),
        "misdirected": Fault("result", "goes to a key of the clinic `to`", {"to": ...}),
        "corrected": Fault("result", "a correction follows after `seconds`", {"seconds": 1.0}),
        "cancelled": Fault("result", "a cancellation follows after `seconds`", {"seconds": 1.0}),
        "run_again": Fault("result", "the test is run again after `seconds`", {"seconds": 1.0}),
    }
)  # fmt: skip


@dataclass(frozen=True)
class Event:
    """A call, a message or a connection that a rule may be about."""

    on: str
    clinic_id: str = ""
    lab_report_id: str = ""
    patient: str = ""
    test_codes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Rule:
    """`first` and `every` count the events that all else in the rule fits; the times are seconds
    since the rule was set. Names may hold `*` and `?`, and are compared without regard to case."""

    on: str
    do: str
    options: Mapping[str, Any] = field(default_factory=dict)
    taken: bool = False
    first: int | None = None
    every: int | None = None
    from_seconds: float = 0.0
    to_seconds: float | None = None
    patient: str = ""
    lab_report_id: str = ""
    clinic_id: str = ""
    test_code: str = ""

    def fits(self, event: Event, age: float) -> bool:
        """Whether an event counts for this rule; `age` is the rule's own, in seconds."""
        return (
            event.on in COVERS[self.on]
            and self.from_seconds <= age
            and (self.to_seconds is None or age < self.to_seconds)
            and _like(event.patient, self.patient)
            and _like(event.lab_report_id, self.lab_report_id)
            and _like(event.clinic_id, self.clinic_id)
            and (not self.test_code or any(_like(e, self.test_code) for e in event.test_codes))
        )

    def acts(self, number: int) -> bool:
        """Whether it acts on the `number`-th event (from 1) that fits."""
        return (self.first is None or number <= self.first) and (
            self.every is None or number % self.every == 0
        )

    def when(self) -> str:
        """The conditions, for people."""
        parts = [
            f"the first {self.first}" if self.first else "",
            f"every {self.every}th" if self.every else "",
            f"from {self.from_seconds:g} s on" if self.from_seconds else "",
            f"until {self.to_seconds:g} s" if self.to_seconds is not None else "",
            *(
                f"{name.replace('_', ' ')} {getattr(self, name)}"
                for name in ("patient", "lab_report_id", "clinic_id", "test_code")
                if getattr(self, name)
            ),
        ]
        return ", ".join(part for part in parts if part) or "always"

    def what(self) -> str:
        """What it does, for people."""
        options = ", ".join(f"{name} {value}" for name, value in self.options.items() if value)
        taken = ""
        if self.on in ("order", "call") and self.taken != FAULTS[self.do].taken:
            taken = "the order is taken" if self.taken else "the order is not taken"
        return " · ".join(part for part in (self.do.replace("_", " "), options, taken) if part)


def read_rules(data: Any) -> tuple[Rule, ...]:
    """The faults of a script.

    Raises ScriptError.
    """
    if not isinstance(data, list):
        raise ScriptError("In the script, faults must be a list.")
    return tuple(read_rule(each, f"faults[{i}]") for i, each in enumerate(data))


def read_rule(data: Any, where: str) -> Rule:
    """One fault of a script; `where` names it in errors.

    Raises ScriptError.
    """
    do = data.get("do") if isinstance(data, dict) else None
    known = isinstance(do, str) and do in FAULTS
    if isinstance(data, dict) and "do" in data and not known:
        raise ScriptError(f"In {where}, do must be one of {', '.join(FAULTS)}; it is {_show(do)}.")
    fault = FAULTS[str(do)] if known else Fault("order", "")
    takes = fault.takes
    rule = read_object(
        data,
        where,
        {"do"} | {name for name, default in takes.items() if default is ...},
        {*CONDITIONS, "on", "taken", *takes},
    )
    on = rule.get("on", fault.on)
    possible = [each for each in COVERS if COVERS[each][0] in _kin(fault.on)]
    if on not in possible:
        raise ScriptError(f"In {where}, {do} can be on {' or '.join(possible)}; it is {_show(on)}.")
    taken = rule.get("taken", fault.taken)
    if not isinstance(taken, bool):
        raise ScriptError(f"In {where}, taken must be true or false; it is {_show(taken)}.")
    return Rule(
        on=on,
        do=str(do),
        taken=taken,
        options={
            name: OPTIONS[name](rule[name], f"In {where}, {name}") if name in rule else default
            for name, default in takes.items()
        },
        **{
            name: read(rule[name], f"In {where}, {name}")
            for name, read in CONDITIONS.items()
            if name in rule
        },
    )


def from_form(form: Mapping[str, str]) -> dict[str, Any]:
    """A form's fields as a script would have them: what is empty was not given, and what is a
    number is one."""
    given: dict[str, Any] = {}
    for name, text in form.items():
        value = text.strip()
        if not value:
            continue
        if name == "taken":
            given[name] = {"yes": True, "no": False}.get(value, value)
        elif name in NUMBERS and value.isascii() and value.isdecimal():
            given[name] = int(value)
        elif name in NUMBERS:
            given[name] = _float(value)
        else:
            given[name] = value
    return given


def _kin(on: str) -> tuple[str, ...]:
    """A fault of answers may be on any call, one of messages on any message."""
    return next(group for group in (CALLS, MESSAGES, ("connection",)) if COVERS[on][0] in group)


def _float(text: str) -> Any:
    try:
        return float(text)
    except ValueError:
        return text


def _like(text: str, pattern: str) -> bool:
    return not pattern or fnmatchcase(text.casefold().strip(), pattern.casefold())


def _show(value: Any) -> str:
    return repr(value)[:60]


def _whole(low: int, high: int) -> Callable[[Any, str], Any]:
    def read(value: Any, what: str) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise ScriptError(
                f"{what} must be a whole number from {low} to {high}; it is {_show(value)}."
            )
        return value

    return read


def _seconds(value: Any, what: str) -> float:
    if (
        isinstance(value, bool)
        or not isinstance(value, int | float)
        or not math.isfinite(value)
        or not 0 <= value <= LONGEST
    ):
        raise ScriptError(f"{what} must be a number from 0 to {LONGEST:.0f}; it is {_show(value)}.")
    return float(value)


def _words(value: Any, what: str) -> str:
    if not isinstance(value, str) or not value.strip() or len(value) > 200:
        raise ScriptError(f"{what} must be a text that is not empty; it is {_show(value)}.")
    return value.strip()


def _retry_after(value: Any, what: str) -> str:
    """A header's value as it is sent: a number means seconds, `date+30` a date 30 s ahead."""
    text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    ahead = text.removeprefix("date+") if isinstance(text, str) else ""
    if (
        not isinstance(text, str)
        or not text.isascii()
        or not text.isprintable()
        or len(text) > 200
        or (ahead != text and not (ahead.isdecimal() and len(ahead) <= 10))
    ):
        raise ScriptError(
            f"{what} must be a number of seconds, date+SECONDS, or any text to be sent as it is;"
            f" it is {_show(value)}."
        )
    return text


def _one_of(names: tuple[str, ...]) -> Callable[[Any, str], Any]:
    def read(value: Any, what: str) -> str:
        if value not in names:
            raise ScriptError(f"{what} must be one of {', '.join(names)}; it is {_show(value)}.")
        return str(value)

    return read


def _address(value: Any, what: str) -> str:
    """A URL for a redirect, a clinic's id for a misdirected result."""
    text = _words(value, what)
    if "/" in text and not is_url(text):
        raise ScriptError(f"{what} must be an http or https URL or a clinic id; it is {text}.")
    return text


CONDITIONS: Mapping[str, Callable[[Any, str], Any]] = {
    "first": _whole(1, 1_000_000),
    "every": _whole(1, 1_000_000),
    "from_seconds": _seconds,
    "to_seconds": _seconds,
    "patient": _words,
    "lab_report_id": _words,
    "clinic_id": _words,
    "test_code": _words,
}
OPTIONS: Mapping[str, Callable[[Any, str], Any]] = {
    "seconds": _seconds,
    "status": _whole(200, 599),
    "retry_after": _retry_after,
    "shape": _one_of(SHAPES),
    "kind": _one_of(CERTIFICATES),
    "megabytes": _whole(1, 100),
    "times": _whole(2, 100),
    "to": _address,
}
NUMBERS = (
    "first",
    "every",
    "from_seconds",
    "to_seconds",
    "seconds",
    "status",
    "megabytes",
    "times",
)
