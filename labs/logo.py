"""A clinic's logo, as it may be kept. Pure."""

from __future__ import annotations

import io
import warnings

from PIL import Image, UnidentifiedImageError

from labs.errors import InvalidInput

MOST_BYTES = 2 * 1024 * 1024
MOST_PIXELS = 16_000_000
BOX = (900, 300)  # pixels: 75 x 25 mm on paper at 300 dpi


def clean(content: bytes) -> bytes:
    """The picture drawn anew as a PNG: what else a file may hold (scripts, places, a second file)
    stays behind. Raises InvalidInput for what is no PNG or JPEG, or too large."""
    if len(content) > MOST_BYTES:
        raise InvalidInput("The logo is larger than 2 MB. Save it smaller, then upload it again.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            picture = Image.open(io.BytesIO(content), formats=("PNG", "JPEG"))
            if picture.width * picture.height > MOST_PIXELS:
                raise InvalidInput("The logo has too many pixels. Save it smaller.")
            drawn = picture.convert("RGBA")
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError, Image.DecompressionBombError,
            Image.DecompressionBombWarning) as error:  # fmt: skip
        raise InvalidInput("The logo must be a PNG or JPEG picture.") from error
    drawn.thumbnail(BOX)
    out = io.BytesIO()
    drawn.save(out, "PNG")
    return out.getvalue()
