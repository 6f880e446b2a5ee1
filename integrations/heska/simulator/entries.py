"""Reading what a person wrote into a script or a form. Each error is one sentence with the key."""

from __future__ import annotations

from collections.abc import Mapping, Set
from typing import Any
from urllib.parse import urlsplit


class ScriptError(ValueError):
    """The script cannot be used; the text is one sentence for the person who wrote it."""


def is_url(text: str) -> bool:
    """Whether `text` is an http or https URL with a host and without credentials."""
    try:
        parts = urlsplit(text)
        bad_port = parts.port == 0
    except ValueError:
        return False
    return (
        parts.scheme in ("http", "https")
        and bool(parts.hostname)
        and "@" not in parts.netloc
        and not bad_port
        and text.isascii()
        and text.isprintable()
        and " " not in text
    )


def read_object(
    data: Any, where: str, required: Set[str], optional: Set[str] = frozenset()
) -> Mapping[str, Any]:
    if not isinstance(data, dict):
        raise ScriptError(f"{where[0].upper()}{where[1:]} must be a JSON object.")
    missing = sorted(required - data.keys())
    if missing:
        raise ScriptError(f"In {where}, {missing[0]} is missing.")
    unknown = sorted(data.keys() - required - optional)
    if unknown:
        raise ScriptError(f"In {where}, {unknown[0]} is not a known name.")
    return data


def read_text(data: Mapping[str, Any], name: str, where: str) -> str:
    value = data[name]
    if not isinstance(value, str) or not value.strip():
        raise ScriptError(f"In {where}, {name} must be a text that is not empty.")
    return value


def read_url(data: Mapping[str, Any], name: str, where: str) -> str:
    value = read_text(data, name, where)
    if not is_url(value):
        raise ScriptError(f"In {where}, {name} must be an http or https URL.")
    return value
