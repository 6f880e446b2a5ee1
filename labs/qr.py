"""A QR code for a page."""

from __future__ import annotations

import segno


def picture(text: str) -> str:
    """As the address of an `img`: the content policy allows `data:` pictures, and nothing is marked
    as safe HTML for it. Black on white also on a dark page, or a telephone does not find it."""
    return segno.make(text, error="m", micro=False).svg_data_uri(
        scale=4, border=3, dark="#000", light="#fff", nl=False
    )
