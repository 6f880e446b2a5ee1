"""What the cells of an import mean. Every function takes the text of a cell, stripped, and raises
BadCell with a sentence for the person who made the file."""

from __future__ import annotations

import re
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from typing import TypeVar

from django.core.exceptions import ValidationError
from django.core.validators import validate_email

from labs.models import Sex, Species
from labs.services.registry.patients import MAX_KG

Choice = TypeVar("Choice")


class BadCell(ValueError):
    """The text is the sentence."""


SPECIES = {
    Species.DOG: "dog canine can k9 puppy",
    Species.CAT: "cat feline fel kitten",
    Species.HORSE: "horse equine equ pony foal",
}
SPECIES_WORDS = {word: species for species, words in SPECIES.items() for word in words.split()}
NEUTERED = "neutered castrated spayed altered gelding desexed n s c"
MALE = "m male stallion gelding colt tom tomcat"
FEMALE = "f female mare filly queen bitch"
YES = ["yes", "y", "true", "t", "1", "x"]
NO = ["no", "n", "false", "f", "0"]
PARTIAL_DATE = re.compile(r"(\d{4})(?:-(\d{1,2}))?", re.ASCII)
# Both letters of MN, NM, MC, CM, FS, SF: which sex, and that it is neutered.
SEX_CODES = {"mn": "M", "nm": "M", "mc": "M", "cm": "M", "fs": "F", "sf": "F", "fn": "F", "nf": "F"}


def read_species(text: str) -> Species:
    """Words other than for dog, cat and horse are `other`; empty is an error of the caller's."""
    return SPECIES_WORDS.get(text.lower(), Species.OTHER)


def read_sex(text: str) -> tuple[Sex, bool | None]:
    """Sex, and whether it is neutered where the words say so: `MN`, `FS`, `male neutered`,
    `spayed female`, `gelding`, `stallion`, `M`, `U`."""
    words = re.split(r"[\s,()/-]+", text.lower().strip(" ()"))
    if len(words) == 1 and words[0] in SEX_CODES:
        return Sex(SEX_CODES[words[0]]), True
    if words == ["u"] or words == ["unknown"]:
        return Sex.UNKNOWN, None
    known = {*MALE.split(), *FEMALE.split(), *NEUTERED.split(), "intact", "entire"}
    male = any(word in MALE.split() for word in words)
    female = any(word in FEMALE.split() for word in words)
    if male == female or any(word not in known for word in words):
        raise BadCell(f"the sex “{text}” is not understood; use M, F, MN, FS or U.")
    sex = Sex.MALE if male else Sex.FEMALE
    if any(word in ("intact", "entire", "stallion") for word in words):
        return sex, False
    return sex, True if any(word in NEUTERED.split() for word in words) else None


def read_yes_no(text: str, column: str) -> bool:
    if text.lower() in YES:
        return True
    if text.lower() in NO:
        return False
    raise BadCell(f"{column} is “{text}”; use yes or no.")


def read_birth_date(text: str, today: date) -> tuple[date, bool]:
    """A date and whether it is an estimate: `2019-04-02`, `2019-04` or `2019`."""
    if partial := PARTIAL_DATE.fullmatch(text):
        try:
            return read_past(date(int(partial[1]), int(partial[2] or 1), 1), today), True
        except ValueError as error:
            raise BadCell(f"the birth date “{text}” is no date.") from error
    return read_past(read_date(text, "the birth date"), today), False


def read_date(text: str, what: str) -> date:
    """ISO only: 02/03/2026 is March in one country and February in another."""
    try:
        if not re.fullmatch(r"\d{4}-\d\d-\d\d", text, re.ASCII):
            raise ValueError
        return date.fromisoformat(text)
    except ValueError as error:
        raise BadCell(f"{what} “{text}” is not understood; use YYYY-MM-DD.") from error


def read_past(day: date, today: date) -> date:
    if day > today:
        raise BadCell(f"{day} is in the future.")
    return day


def read_deceased(text: str, today: date) -> tuple[bool, date | None]:
    """`yes`, `no`, or the date of death."""
    if text[:1].isdigit() and len(text) > 1:
        return True, read_past(read_date(text, "the date of death"), today)
    return read_yes_no(text, "deceased"), None


def read_weight(text: str) -> Decimal:
    """In kilograms, to the gram. A comma is refused: it may mean a decimal point or thousands."""
    try:
        if not re.fullmatch(r"\d+(\.\d*)?|\.\d+", text, re.ASCII):
            raise InvalidOperation
        kg = Decimal(text).quantize(Decimal("0.001"))
    except InvalidOperation as error:
        raise BadCell(f"the weight “{text}” is no number such as 31.4 (in kg).") from error
    if not 0 < kg <= MAX_KG:
        raise BadCell(f"a weight of {text} kg cannot be right.")
    return kg


def read_microchip(text: str) -> str:
    chip = re.sub(r"[\s.-]+", "", text)
    if not re.fullmatch(r"[0-9A-Za-z]{1,32}", chip):
        raise BadCell(f"the microchip “{text}” holds more than letters and digits.")
    return chip.upper()


def read_email(text: str) -> str:
    try:
        validate_email(text)
    except ValidationError as error:
        raise BadCell(f"“{text}” is no e-mail address.") from error
    return text


def read_moment(text: str) -> datetime:
    """A date with a time, naive where it names no zone."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise BadCell(f"the time “{text}” is not understood; use 2026-03-02T09:15.") from error
    if not re.search(r"\d[T ]\d\d:\d\d", text):
        raise BadCell(f"“{text}” has no time of day; use 2026-03-02T09:15.")
    return moment
