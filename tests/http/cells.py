"""The table, unfolded: every address, method, role and object with what is expected there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.urls import URLPattern, URLResolver, get_resolver

from tests.http.table import AUDIENCES, MODELS, OBJECTS, ROLES, TABLE, WORDS

METHODS = ("GET", "POST", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS")


@dataclass(frozen=True)
class Line:
    name: str
    method: str
    kind: str
    audience: str
    status: str
    own: tuple[tuple[str, str], ...]

    def expected(self, role: str) -> dict[str, str]:
        """By whose object: `404`, `302!`."""
        words = WORDS[AUDIENCES[self.audience][role]]
        status = dict(self.own).get(role, self.status)
        return {
            whose: word.format(status)
            for whose, word in zip(OBJECTS, words, strict=True)
            if self.kind not in ("-", "app") or whose == "own"
        }


def lines() -> list[Line]:
    found = []
    for text in TABLE.strip().splitlines():
        name, method, kind, audience, status, *own = text.split()
        pairs = tuple(tuple(each.split("=")) for each in own)
        found.append(Line(name, method, kind, audience, status, pairs))  # type: ignore[arg-type]
    return [*found, *_of_models()]


def _of_models() -> Iterator[Line]:
    for text in MODELS.strip().splitlines():
        model, who, row, add, change, delete = text.split()
        listed = f"{who}*"
        adding = "nobody*" if add == "403" else listed
        rows = model
        yield Line(f"admin:{model}_changelist", "GET", "-", listed, "200", ())
        yield Line(f"admin:{model}_changelist", "POST", "-", listed, "200", ())
        yield Line(f"admin:{model}_add", "GET", "-", adding, "200", ())
        made, who_adds = ("403", "nobody*") if add == "403" else ("302!", "adds")
        yield Line(f"admin:{model}_add", "POST", "-", who_adds, made, ())
        yield Line(f"admin:{model}_change", "GET", rows, who, row, ())
        yield Line(f"admin:{model}_change", "POST", rows, who, change, ())
        yield Line(f"admin:{model}_history", "GET", rows, who, "200", ())
        yield Line(
            f"admin:{model}_delete", "GET", rows, who, "403" if delete == "403" else "200", ()
        )
        yield Line(f"admin:{model}_delete", "POST", rows, who, delete, ())


def routes(resolver: Any = None, spaces: tuple[str, ...] = ()) -> Iterator[tuple[str, str]]:
    """Every address of the project: its name (empty where it has none) and its pattern."""
    for each in (resolver or get_resolver()).url_patterns:
        pattern = str(each.pattern)
        if isinstance(each, URLResolver):
            inside = spaces + ((each.namespace,) if each.namespace else ())
            for name, rest in routes(each, inside):
                yield name, pattern + rest
        elif isinstance(each, URLPattern):
            yield ":".join((*spaces, each.name)) if each.name else "", pattern


def without(text: str, url: str, arguments: tuple[Any, ...]) -> str:
    """An answer without what may differ by chance: the address that was asked for, a form's token,
    a receipt's number, a time."""
    text = text.replace(url, "URL")
    for each in sorted((str(a) for a in arguments if len(str(a)) > 4), key=len, reverse=True):
        text = text.replace(each, "ID")
    text = re.sub(r'name="csrfmiddlewaretoken" value="[^"]+"', "csrf", text)
    text = re.sub(r'"ReceiptId": ?"[^"]+"', "receipt", text)
    return re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d", "time", text)


__all__ = ["METHODS", "ROLES", "Line", "lines", "routes", "without"]
