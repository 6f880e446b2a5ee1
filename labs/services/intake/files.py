"""What an attachment is, by its first bytes and never by what was declared of it."""

from __future__ import annotations

from labs.report import File

MAGIC = (
    (b"%PDF-", "application/pdf"),
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
)
UNKNOWN = "application/octet-stream"


def content_type_of(file: File) -> tuple[str, list[str]]:
    """The type, and sentences on what did not fit. Only PDF and the images above are ever shown;
    anything else (SVG, HTML, a program) is kept and only downloaded."""
    kind = next((kind for start, kind in MAGIC if file.content.startswith(start)), UNKNOWN)
    if kind == UNKNOWN:
        return kind, ["This is no PDF or image that can be shown; it can be downloaded."]
    if file.content_type and file.content_type != kind:
        return kind, [f"Declared as {file.content_type[:50]}, but it is {kind}."]
    return kind, []
