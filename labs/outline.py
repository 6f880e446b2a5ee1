"""Plain data as a page to read: names and values, one inside the other."""

from __future__ import annotations

from typing import Any

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString


def outline(value: Any) -> SafeString:
    """Of what JSON holds. What is empty is left out; every text is escaped."""
    if isinstance(value, dict):
        rows = [(name.replace("_", " "), outline(v)) for name, v in value.items() if _told(v)]
        lines = format_html_join("", "<dt><b>{}</b></dt><dd>{}</dd>", rows)
        return format_html("<dl>{}</dl>", lines)
    if isinstance(value, list):
        lines = format_html_join("", "<li>{}</li>", [(outline(v),) for v in value if _told(v)])
        return format_html("<ol>{}</ol>", lines)
    if isinstance(value, bool):
        value = "yes" if value else "no"
    return format_html("{}", value)


def _told(value: Any) -> bool:
    return value is not None and value not in ("", [], {})
