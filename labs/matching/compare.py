"""An orphan's typed identity beside an animal on file, field by field. Pure: no ORM, no clock.

This counts; it does not weigh. What is absent on either side is never evidence, and neither is a
placeholder.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from labs.matching import reading

AGREE, CLOSE, CONFLICT, NOT_GIVEN = "agree", "close", "conflict", "none"
POINTS = {AGREE: 2, CLOSE: 1, CONFLICT: -2, NOT_GIVEN: 0}
# Where these contradict, a person must type the animal's name before anything is attached.
SERIOUS = frozenset({"species", "sex", "weight", "deceased"})
MIXED = frozenset({"mix", "mixed", "cross", "crossbreed", "unknown", "other", "breed"})
NEAR = timedelta(days=1)
# Names this comparison in stored evidence, so that a decision can be understood years later.
VERSION = "compare-1"


@dataclass(frozen=True, kw_only=True)
class OnFile:
    """An animal as the registry has it. `last_seen` is its visit nearest to the run."""

    name: str
    patient_id: str
    species: str
    species_words: str
    sex: str
    sex_words: str
    breed: str = ""
    birth_date: date | None = None
    age_words: str = ""
    weight_kg: Decimal | None = None
    microchip: str = ""
    deceased: bool = False
    deceased_on: date | None = None
    owner_id: str = ""
    owner_first_name: str = ""
    owner_last_name: str = ""
    last_seen: datetime | None = None
    doctors: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Field:
    """One line of the table. `sign`: agree, close, conflict or none; `note` says why."""

    key: str
    label: str
    typed: str
    on_file: str
    sign: str
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class Comparison:
    fields: tuple[Field, ...]

    @property
    def points(self) -> int:
        """Fields that agree minus fields that contradict, in halves (a close one is half)."""
        return sum(POINTS[field.sign] for field in self.fields)

    def labels(self, sign: str) -> list[str]:
        return [field.label for field in self.fields if field.sign == sign]

    @property
    def serious(self) -> list[str]:
        """Keys of the contradictions for which the animal's name must be typed."""
        return [f.key for f in self.fields if f.sign == CONFLICT and f.key in SERIOUS]

    @property
    def serious_words(self) -> str:
        """Those as one or two sentences: `Species and sex differ. Recorded as deceased.`"""
        differ = [key for key in self.serious if key != "deceased"]
        words = " and ".join(differ).capitalize()
        sentences = [f"{words} differ{'s' * (len(differ) == 1)}."] if differ else []
        if "deceased" in self.serious:
            sentences.append("Recorded as deceased.")
        return " ".join(sentences)

    def as_json(self) -> dict[str, Any]:
        return {"comparison": VERSION, "points": self.points} | {
            "fields": [asdict(field) for field in self.fields]
        }


def compare(
    typed: Mapping[str, Any], on_file: OnFile, *, at: datetime, seen_words: str = ""
) -> Comparison:
    """Every field in the order of the screen. `typed` is labs.report.Identity as JSON, `at` when
    the result came (analyzers' clocks may be years off), `seen_words` how the last visit reads."""
    given = {key: value.strip() for key, value in typed.items() if isinstance(value, str)}
    fields = [
        _name(given, on_file),
        _owner(given, on_file),
        _id("patient_id", "Patient id", given, on_file.patient_id),
        _id("microchip", "Microchip", given, on_file.microchip),
        _id("owner_id", "Owner id", given, on_file.owner_id),
        _species(given, on_file),
        _sex(given, on_file),
        _breed(given, on_file),
        _age(given, on_file, at.date()),
        _weight(given, on_file),
        _seen(on_file, at, seen_words),
        _doctor(given, on_file),
    ]
    if on_file.deceased:
        fields.append(_deceased(on_file, at.date()))
    return Comparison(fields=tuple(fields))


def likeness(typed: str, on_file: str) -> tuple[str, str]:
    """Sign and note of two names. One part of a double name, a name cut short and one wrong letter
    are close."""
    one, other = reading.plain(typed), reading.plain(on_file)
    if not one or not other or reading.is_placeholder(typed):
        return NOT_GIVEN, ""
    if one.replace(" ", "") == other.replace(" ", ""):
        return AGREE, ""
    if set(one.split()) & set(other.split()):
        return CLOSE, "one part"
    if min(len(one), len(other)) >= 3 and (other.startswith(one) or one.startswith(other)):
        return CLOSE, "cut short"
    if reading.one_edit_apart(one, other):
        return CLOSE, "one letter"
    return CONFLICT, "differs"


def _field(key: str, label: str, typed: str, shown: str, sign: str, note: str) -> Field:
    return Field(key=key, label=label, typed=typed, on_file=shown, sign=sign, note=note)


def _name(given: Mapping[str, str], on_file: OnFile) -> Field:
    typed = given.get("patient_name", "")
    sign, note = likeness(typed, on_file.name)
    return _field("patient_name", "Name", typed, on_file.name, sign, note)


def _owner(given: Mapping[str, str], on_file: OnFile) -> Field:
    last, first = given.get("owner_last_name", ""), given.get("owner_first_name", "")
    typed = ", ".join(part for part in (last, first) if part)
    shown = ", ".join(part for part in (on_file.owner_last_name, on_file.owner_first_name) if part)
    sign, note = likeness(last, on_file.owner_last_name)
    words = set(reading.plain(given.get("patient_name", "")).split())
    surname = reading.plain(on_file.owner_last_name)
    # "Bella Smith" in the field for the animal's name.
    if not last and surname and surname in words and len(words) > 1:
        sign, note = CLOSE, "typed with the name"
    return _field("owner", "Owner", typed, shown, sign, note)


def _id(key: str, label: str, given: Mapping[str, str], shown: str) -> Field:
    typed = given.get(key, "")
    if not typed:
        return _field(key, label, typed, shown, NOT_GIVEN, "")
    if reading.is_placeholder(typed):
        return _field(key, label, typed, shown, NOT_GIVEN, "placeholder, ignored")
    if not shown:
        return _field(key, label, typed, shown, NOT_GIVEN, "")
    if reading.id_key(typed) == reading.id_key(shown):
        return _field(key, label, typed, shown, AGREE, "")
    number = reading.digits_of(typed)
    if typed.isdigit() and len(number) > 1 and number == reading.digits_of(shown):
        return _field(key, label, typed, shown, CLOSE, "without its letters")
    return _field(key, label, typed, shown, CONFLICT, "differs")


def _species(given: Mapping[str, str], on_file: OnFile) -> Field:
    typed, code = given.get("species", ""), given.get("species_code", "")
    sign = NOT_GIVEN
    if code:
        sign = AGREE if code == on_file.species else CONFLICT
    note = "not understood" if typed and not code else ""
    return _field("species", "Species", typed, on_file.species_words, sign, note)


def _sex(given: Mapping[str, str], on_file: OnFile) -> Field:
    typed, code = given.get("sex", ""), given.get("sex_code", "")
    sign = NOT_GIVEN
    if code in ("M", "F") and on_file.sex in ("M", "F"):
        sign = AGREE if code == on_file.sex else CONFLICT
    return _field("sex", "Sex", typed, on_file.sex_words, sign, "")


def _breed(given: Mapping[str, str], on_file: OnFile) -> Field:
    typed = given.get("breed", "")
    one, other = (set(reading.plain(text).split()) for text in (typed, on_file.breed))
    if not one or not other or (one | other) & MIXED:
        sign = NOT_GIVEN
    elif one == other:
        sign = AGREE
    else:
        sign = CLOSE if one & other else CONFLICT
    return _field("breed", "Breed", typed, on_file.breed, sign, "")


def _age(given: Mapping[str, str], on_file: OnFile, today: date) -> Field:
    born, age = given.get("birth_date", ""), given.get("age", "")
    typed = born or age
    sign, note = NOT_GIVEN, ""
    months = reading.age_months(age)
    if on_file.birth_date is not None:
        on_file_months = (today - on_file.birth_date).days / 30.44
        if born:
            sign, note = _birth_dates(born, on_file.birth_date)
        elif months is not None:
            off = abs(months - on_file_months)
            sign = AGREE if off <= 12 else CLOSE if off <= 24 else CONFLICT
    return _field("age", "Age", typed, on_file.age_words, sign, note)


def _birth_dates(typed: str, on_file: date) -> tuple[str, str]:
    try:
        born = date.fromisoformat(typed[:10])
    except ValueError:
        return NOT_GIVEN, "not understood"
    if born == on_file:
        return AGREE, ""
    return (CLOSE, "") if abs((born - on_file).days) <= 366 else (CONFLICT, "differs")


def _weight(given: Mapping[str, str], on_file: OnFile) -> Field:
    unit = given.get("weight_unit", "")
    typed = f"{given.get('weight', '')} {unit}".strip() if given.get("weight") else ""
    shown = f"{on_file.weight_kg.normalize():f} kg" if on_file.weight_kg else ""
    read = reading.weight_kg(given.get("weight", ""), unit)
    sign, note = NOT_GIVEN, ""
    if read and on_file.weight_kg:
        kg, unit_said = read
        times = max(kg, on_file.weight_kg) / min(kg, on_file.weight_kg)
        if times <= Decimal("1.15"):
            sign = AGREE
        elif times <= 2:
            sign = CLOSE
        elif not unit_said and times <= Decimal("2.5"):
            sign, note = NOT_GIVEN, "lb or kg?"
        else:
            sign, note = CONFLICT, f"{times:.1f} times"
    return _field("weight", "Weight", typed, shown, sign, note)


def _seen(on_file: OnFile, at: datetime, words: str) -> Field:
    """Not having been seen is no contradiction: an emergency has no appointment."""
    near = on_file.last_seen is not None and abs(at - on_file.last_seen) <= NEAR
    return _field("seen", "Seen here", "", words, AGREE if near else NOT_GIVEN, "")


def _doctor(given: Mapping[str, str], on_file: OnFile) -> Field:
    typed = given.get("doctor", "")
    words = set(reading.plain(typed).split()) - {"dr", "dvm", "vet"}
    same = [d for d in on_file.doctors if words & set(reading.plain(d).split())]
    shown = same[0] if same else (on_file.doctors[0] if on_file.doctors else "")
    return _field("doctor", "Doctor", typed, shown, AGREE if same else NOT_GIVEN, "")


def _deceased(on_file: OnFile, came: date) -> Field:
    day = on_file.deceased_on
    shown = f"deceased {day:%d %b %Y}" if day else "deceased"
    before = day is None or day < came
    return _field("deceased", "Deceased", "", shown, CONFLICT if before else NOT_GIVEN, "")
