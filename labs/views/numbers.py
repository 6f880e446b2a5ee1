from __future__ import annotations


def number(text: str) -> int:
    """Of a form or an address; -1 for what is none. Python refuses to read more than 4300 digits,
    and no id or version has 18."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 18 else -1
