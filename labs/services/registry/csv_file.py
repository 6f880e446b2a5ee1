"""CSV files as practices have them: Excel's byte order mark, CRLF, semicolons. Pure functions."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from labs.errors import InvalidInput

DELIMITERS = ",;\t"
UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")
WORKBOOK_MARKS = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")  # .xlsx and .ods; .xls


@dataclass(frozen=True)
class Problem:
    """What is wrong with one line; line 1 is the header."""

    line: int
    what: str

    def __str__(self) -> str:
        return f"line {self.line}: {self.what}"


class ImportRefused(InvalidInput):
    """Nothing of the file was written. `problems` holds all that is wrong with it."""

    code = "import_refused"

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = sorted(problems, key=lambda problem: problem.line)
        count = f"{len(problems)} problems" if len(problems) > 1 else "a problem"
        super().__init__(f"Nothing was imported; the file has {count}:")


@dataclass(frozen=True)
class Line:
    """One record: the number of the line on which it begins, and its stripped cells by column."""

    number: int
    cells: dict[str, str]

    def __getitem__(self, column: str) -> str:
        return self.cells[column]


@dataclass
class Table:
    lines: list[Line] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)


def read_table(content: bytes, columns: Sequence[str], required: Sequence[str]) -> Table:
    """The file's lines with every column; those that the file leaves out are empty. Blank lines are
    passed over. Lines that are no record of the header's width are problems.

    Raises ImportRefused where nothing more can be said of the file: no text, no header.
    """
    text = decode(content)
    first = next((line for line in text.splitlines() if line.strip()), "")
    delimiter = max(DELIMITERS, key=first.count)
    records = _records(text, delimiter)
    table = Table()
    start, header = next(records, (1, []))
    header = [name.lower() for name in header]
    _check_header(start, header, columns, required)
    for number, cells in records:
        if len(cells) > len(header) and not any(cells[len(header) :]):
            cells = cells[: len(header)]  # Excel likes to end lines with empty cells
        if len(cells) == len(header):
            given = dict(zip(header, cells, strict=True))
            table.lines.append(Line(number, {name: given.get(name, "") for name in columns}))
        else:
            what = f"it has {len(cells)} cells, but the header has {len(header)}."
            table.problems.append(Problem(number, what))
    return table


def decode(content: bytes) -> str:
    """UTF-8 with or without its mark, or UTF-16 with it. Any other is refused, not guessed: a wrong
    guess spoils names without anybody noticing."""
    if content.startswith(WORKBOOK_MARKS):
        what = "this is a workbook and no CSV. Save its sheet as “CSV UTF-8” and import that."
        raise ImportRefused([Problem(1, what)])
    try:
        text = content.decode("utf-16" if content.startswith(UTF16_MARKS) else "utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        what = "this is not UTF-8. Save the file as “CSV UTF-8” and import it again."
        raise ImportRefused([Problem(line, what)]) from error
    if "\0" in text:
        what = "it holds a NUL. Save the file as “CSV UTF-8” and import it again."
        raise ImportRefused([Problem(text[: text.index("\0")].count("\n") + 1, what)])
    return text


def _records(text: str, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    while True:
        number = reader.line_num + 1
        try:
            cells = [cell.strip() for cell in next(reader)]
        except StopIteration:
            return
        except csv.Error as error:
            what = f"from here on it is no CSV ({error})."
            raise ImportRefused([Problem(number, what)]) from error
        if any(cells):
            yield number, cells


def _check_header(
    line: int, header: list[str], columns: Sequence[str], required: Sequence[str]
) -> None:
    if not header:
        raise ImportRefused([Problem(1, f"the file is empty. Columns: {', '.join(columns)}.")])
    problems = [f"the column “{name}” is not known." for name in header if name not in columns]
    problems += [f"the column “{name}” is missing." for name in required if name not in header]
    problems += [
        f"the column “{name}” is there twice." for name in columns if header.count(name) > 1
    ]
    if problems:
        problems[-1] += f" Columns: {', '.join(columns)}."
        raise ImportRefused([Problem(line, what) for what in problems])
