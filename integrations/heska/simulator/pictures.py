"""Small pictures and documents as analyzers attach them, made from nothing: PNG and PDF."""

from __future__ import annotations

import base64
import hashlib
import math
import random
import struct
import zlib
from typing import Any

SIDE = 96


def scattergram(chance: random.Random) -> bytes:
    """A grey PNG with three clouds of cells."""
    pixels = bytearray(b"\xff" * SIDE * SIDE)
    for x, y, spread, count in ((28, 62, 5, 160), (44, 40, 6, 90), (66, 28, 9, 260)):
        for _ in range(count):
            column, line = round(chance.gauss(x, spread)), round(chance.gauss(y, spread))
            if 0 <= column < SIDE and 0 <= line < SIDE:
                pixels[line * SIDE + column] = max(0, pixels[line * SIDE + column] - 90)
    return png(pixels)


def histogram(chance: random.Random) -> bytes:
    """A grey PNG with one skewed hump."""
    pixels = bytearray(b"\xff" * SIDE * SIDE)
    peak, width = chance.uniform(30, 50), chance.uniform(9, 14)
    for column in range(SIDE):
        side = width * (1.5 if column > peak else 1)
        height = round(84 * math.exp(-(((column - peak) / side) ** 2) / 2))
        for line in range(SIDE - height, SIDE):
            pixels[line * SIDE + column] = 110
    return png(pixels)


def png(pixels: bytes | bytearray) -> bytes:
    """A square 8-bit grey PNG of SIDE lines."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + check

    lines = b"".join(b"\0" + pixels[i : i + SIDE] for i in range(0, len(pixels), SIDE))
    header = struct.pack(">IIBBBBB", SIDE, SIDE, 8, 0, 0, 0, 0)
    parts = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(lines)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts


def pdf(lines: list[str]) -> bytes:
    """A one-page PDF with these lines of text, as many as the page holds."""
    text = b"BT /F1 9 Tf 40 800 Td 13 TL\n"
    for line in lines[:58]:
        plain = line.replace("\\", "\\\\").replace("(", "\\(").replace(")", "\\)")
        text += b"(" + plain.encode("latin-1", "replace") + b") Tj T*\n"
    text += b"ET"
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R"
        b" /Resources << /Font << /F1 5 0 R >> >> >>",
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(text), text),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Courier /Encoding /WinAnsiEncoding >>",
    ]
    document, offsets = b"%PDF-1.4\n", []
    for number, content in enumerate(objects, 1):
        offsets.append(len(document))
        document += b"%d 0 obj\n%s\nendobj\n" % (number, content)
    table = b"0000000000 65535 f \n" + b"".join(b"%010d 00000 n \n" % each for each in offsets)
    size = len(objects) + 1
    trailer = b"trailer\n<< /Size %d /Root 1 0 R >>\n" % size
    start = b"startxref\n%d\n%%%%EOF\n" % len(document)
    return document + b"xref\n0 %d\n" % size + table + trailer + start


def attachment(
    *, ident: str, name: str, kind: str, data: bytes, description: str, analyte: str | None = None
) -> dict[str, Any]:
    """An entry of `Attachments` in the contract's layout."""
    entry = {
        "AttachmentId": ident,
        "FileName": name,
        "ContentType": kind,
        "Data": base64.b64encode(data).decode("ascii"),
        "SizeBytes": len(data),
        "Sha256": hashlib.sha256(data).hexdigest(),
        "Description": description,
    }
    return entry | ({"AnalyteCode": analyte} if analyte else {})
