"""What the letters leave out is never like what was typed: held against a look at every name."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from rapidfuzz.distance import OSA, JaroWinkler

from labs.matching.letters import Letters
from labs.matching.names import Vocabulary, edits
from labs.matching.weights import WEAK_LIKENESS

# Few letters, so that names are alike often.
NAME = st.text("abcdé", min_size=1, max_size=11)
SOME = st.lists(NAME, min_size=1, max_size=60, unique=True)


@given(names=SOME, gone=st.sets(st.integers(0, 59)), typed=NAME)
def test_who_is_near_or_alike(names: list[str], gone: set[int], typed: str) -> None:
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


def test_a_name_that_comes_back_stands_last() -> None:
    letters = Letters()
    for name in ("bella", "luna", "max"):
        letters.add(name)
    letters.remove("bella")
    letters.add("bella")
    assert list(letters.at(letters.lacking("", 0)[0] & ~1)) == ["luna", "max", "bella"]
    assert list(letters.at(letters.long(5))) == ["bella"]
