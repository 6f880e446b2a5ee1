"""Which of many names could be like a typed one at all, by the letters that are in them. Pure.

For each letter one long number has a bit for each name that has it, so a few dozen operations on
long numbers leave one name in a hundred to be compared: comparing each with each grew with the
vocabulary and was most of what a ranking cost.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import ceil


class Letters:
    """Names in the order in which they were added; the places of those removed stay empty."""

    def __init__(self) -> None:
        self._names: list[str] = []
        self._place: dict[str, int] = {}
        self._with: dict[str, bytearray] = {}
        self._first: dict[str, bytearray] = {}
        self._long: dict[int, bytearray] = {}
        self._numbers: dict[int, int] = {}  # of those arrays, as far as they were asked for

    def add(self, name: str) -> None:
        place = self._place[name] = len(self._names)
        self._names.append(name)
        self._mark(name, place, on=True)

    def remove(self, name: str) -> None:
        place = self._place.pop(name)
        self._names[place] = ""
        self._mark(name, place, on=False)

    def _mark(self, name: str, place: int, *, on: bool) -> None:
        byte, bit = place >> 3, 1 << (place & 7)
        arrays = [self._with.setdefault(letter, bytearray()) for letter in set(name)]
        arrays.append(self._first.setdefault(name[:1], bytearray()))
        arrays.append(self._long.setdefault(len(name), bytearray()))
        for array in arrays:
            if len(array) <= byte:
                # Ahead, or a million names would each lengthen it.
                array.extend(bytes(max(byte + 1 - len(array), len(array) // 4)))
            array[byte] = array[byte] | bit if on else array[byte] & ~bit
        self._numbers.clear()

    def lacking(self, typed: str, most: int) -> list[int]:
        """For 0 to `most`: the names in which so many letters of `typed` are missing, or fewer."""
        every = (1 << len(self._names)) - 1
        found = [every] * (most + 1)
        for letter in set(typed):
            has = self._number(self._with.get(letter))
            for missing in range(most, 0, -1):
                found[missing] = found[missing] & has | found[missing - 1]
            found[0] &= has
        return found

    def long(self, length: int) -> int:
        """The names of that length."""
        return self._number(self._long.get(length))

    def lengths(self) -> list[int]:
        return list(self._long)

    def starting(self, letter: str) -> int:
        return self._number(self._first.get(letter))

    def at(self, places: int) -> Iterator[str]:
        """The names of those bits, in their order."""
        bits = bin(places)[:1:-1]
        place = bits.find("1")
        while place >= 0:
            yield self._names[place]
            place = bits.find("1", place + 1)

    def _number(self, array: bytearray | None) -> int:
        if array is None:
            return 0
        number = self._numbers.get(id(array))
        if number is None:
            number = self._numbers[id(array)] = int.from_bytes(array, "little")
        return number


def least_common(one: int, other: int, likeness: float, prefix: int = 4) -> int:
    """How many letters two names of those lengths have in common, if they are at least so alike by
    Jaro-Winkler and no more than `prefix` letters at their beginning are the same."""
    boost = 0.1 * prefix
    jaro = (likeness - boost) / (1 - boost)
    # Jaro is the mean of common/one, common/other, and at most 1 for their order.
    return ceil((3 * jaro - 1) / (1 / one + 1 / other) - 1e-6)
