"""The clinic's words as Heska's codes: its own ones first, else the table's. Nothing is guessed;
what is not exactly the same says so (`Sent.how`)."""

from __future__ import annotations

from integrations.heska.wire.tables import (
    SEX_WORDS,
    SPECIES_OUT,
    breed_out,
    breeds,
    sex_out,
)
from labs.order import Codes, Sent, folded

# Codes that stand for “none of ours” in the table, and what they mean.
SUBSTITUTES = {
    "MIX": "mixed breed",
    "Mix": "mixed breed",
    "Shepherd Mix": "mixed breed",
    "UNK": "breed not known",
}


def species_sent(species: str, codes: Codes) -> Sent:
    """`how` is none where there is no code: then nothing can be sent."""
    own = codes.get(("species", "", species))
    if own:
        return Sent(kind="species", word=species, code=own, how="own")
    code = SPECIES_OUT.get(species, "")
    return Sent(kind="species", word=species, code=code, how="code" if code else "none")


def breed_sent(species: str, breed: str, codes: Codes) -> Sent:
    """A breed that is in no table goes in the clinic's own words, never as the likeliest."""
    own = codes.get(("breed", species, folded(breed)))
    if own:
        return Sent(kind="breed", word=breed, code=own, how="own")
    if not breed.strip():
        return Sent(kind="breed", word="", code="UNK", how="missing")
    species_code = SPECIES_OUT.get(species, "")
    code = breed_out(species_code, breed)
    if code is None:
        return Sent(kind="breed", word=breed, code=breed, how="words")
    if code in SUBSTITUTES:
        meaning = SUBSTITUTES[code]
        return Sent(kind="breed", word=breed, code=code, how="substitute", meaning=meaning)
    return Sent(kind="breed", word=breed, code=code, how="code")


def sex_sent(sex: str, neutered: bool | None, codes: Codes) -> Sent:
    code = sex_out(sex, neutered)
    word = SEX_WORDS[code]
    own = codes.get(("sex", "", folded(word)))
    return Sent(kind="sex", word=word, code=own or code, how="own" if own else "code")


def test_sent(code: str, codes: Codes) -> str:
    """Heska's code for a test of the catalogue."""
    return codes.get(("test", "", folded(code)), code)


def known(kind: str, species: str) -> list[tuple[str, str]]:
    """The codes that Heska is known to have, each with what it stands for."""
    if kind == "species":
        return [(code, word) for word, code in SPECIES_OUT.items()]
    if kind == "sex":
        return list(SEX_WORDS.items())
    if kind != "breed":
        return []
    names: dict[str, str] = {}
    for (species_code, name), code in breeds().items():
        if species_code == SPECIES_OUT.get(species):
            # The shortest name that shares a code says best what it is for.
            names[code] = min(names.get(code, name), name, key=len)
    return sorted((code, SUBSTITUTES.get(code, name)) for code, name in names.items())
