"""What the letters leave out is never like what was typed: held against a look at every name."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from rapidfuzz.distance import OSA, JaroWinkler

from labs.matching.letters import Letters
from labs.matching.names import Vocabulary, edits
from labs.matching.weights import WEAK_LIKENESS

LETTERS = "abcdefghijklmnopqrsté"
NAME = st.text(LETTERS, min_size=1, max_size=11)
SLIP = st.tuples(
    st.sampled_from(["wrong", "more", "less", "swap"]), st.integers(0, 10), st.sampled_from(LETTERS)
)
SOME = st.lists(st.lists(SLIP, max_size=4), min_size=1, max_size=40)


def slipped(name: str, slips: list[tuple[str, int, str]]) -> str:
    for how, place, letter in slips:
        begin, rest = name[:place], name[place:]
        if how == "wrong":
            name = begin + letter + rest[1:]
        elif how == "more":
            name = begin + letter + rest
        elif how == "less":
            name = begin + rest[1:]
        else:
            name = begin + rest[1:2] + rest[:1] + rest[2:]
    return name or "x"


@given(typed=NAME, slips=SOME, gone=st.sets(st.integers(0, 39)))
def test_who_is_near_or_alike(
    typed: str, slips: list[list[tuple[str, int, str]]], gone: set[int]
) -> None:
    names = list(dict.fromkeys(slipped(typed, each) for each in slips))
    vocabulary = Vocabulary(dict.fromkeys(names, 1))
    for place in gone:
        if place < len(names):
            vocabulary.put(names[place], 0)
    left = [name for place, name in enumerate(names) if place not in gone]
    near = {
        name
        for name in left
        if len(name) > 2 and OSA.distance(typed, name) <= min(edits(len(typed)), edits(len(name)))
    }
    assert set(vocabulary._near(typed)) == near
    alike = [
        (-JaroWinkler.similarity(typed, name), place)
        for place, name in enumerate(left)
        if len(typed) > 3 and JaroWinkler.similarity(typed, name) >= WEAK_LIKENESS
    ]
    # The most alike first, and of equals the one that was there before.
    assert list(vocabulary._weak(typed)) == [left[place] for _, place in sorted(alike)]


@given(typed=NAME, slips=SOME, rest=st.text(LETTERS, max_size=4), gone=st.sets(st.integers(0, 39)))
def test_who_begins_nearly_so(
    typed: str, slips: list[list[tuple[str, int, str]]], rest: str, gone: set[int]
) -> None:
    names = list(dict.fromkeys(slipped(typed, each) + rest for each in slips))
    vocabulary = Vocabulary(dict.fromkeys(names, 1))
    for place in gone:
        if place < len(names):
            vocabulary.put(names[place], 0)
    size, most = len(typed), edits(len(typed))
    lengths = [size, size + 1, *([size - 1] if size > 4 else [])]
    near = {
        name
        for place, name in enumerate(names)
        if place not in gone and most
        if any(len(name) >= n and OSA.distance(typed, name[:n]) <= most for n in lengths)
    }
    assert set(vocabulary.beginning_nearly(typed)) == near


def test_a_name_that_comes_back_stands_last() -> None:
    letters = Letters()
    for name in ("bella", "luna", "max"):
        letters.add(name)
    letters.remove("bella")
    letters.add("bella")
    assert list(letters.at(letters.lacking("", 0)[0] & ~1)) == ["luna", "max", "bella"]
    assert list(letters.at(letters.long(5))) == ["bella"]
