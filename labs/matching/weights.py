"""All weights of the matching, in one table. Whoever changes a figure changes VERSION too: each
stored decision names it, so that what was shown can be understood years later.

The figures are starting values: `m` (how often a right pair looks so) from the laboratory set-up of
a national tuberculosis register and from what analyzers do to names. They are to be estimated anew
from a clinic's own matches once it has 500 of them, never inside a running queue.
"""

from __future__ import annotations

VERSION = "weights-2"

# That the animal is not in the records at all, before anything is compared.
NOBODY = 0.10

# Of a right pair, how often the name reads so. With the share of the registry that reads so (u) a
# level is worth log2(m / u) bits.
NAME = {
    "exact": 0.66,
    "near": 0.17,  # one edit; two where it has more than six letters
    "cut": 0.05,  # the beginning of it, as a device's limit leaves it or as people shorten it
    "part": 0.05,  # one word of several
    "nickname": 0.03,
    "weak": 0.03,  # alike by Jaro-Winkler
    "differs": 0.06,
}
SURNAME = {
    "exact": 0.78,
    "near": 0.14,
    "cut": 0.05,
    "part": 0.04,
    "nickname": 0.0,
    "weak": 0.01,
    "differs": 0.035,
}
# One part of a double surname says no more than this, however rare it is.
SURNAME_PART_CAP = 4.0
WEAK_LIKENESS = 0.88
# Roughly in how many ways a name comes out at each level. Where what was typed is itself a name
# that animals bear, it is hardly the slip of another one: each animal that bears it exactly counts
# so many times against the level.
VARIANTS = {"near": 30, "cut": 5, "part": 2, "nickname": 3, "weak": 100}

# A small clinic's own names say little about how common a name is: so many animals of elsewhere are
# added to its registry, such a share of whom reads so by chance.
ELSEWHERE, ELSEWHERE_SHARE = 200, 0.001

# What it costs to suppose that the names were typed otherwise than the fields ask.
READINGS = {
    "typed": 0.0,
    "swapped": -3.3,
    "joined": -2.5,
    "surname_first": -3.6,
    "name_as_id": -1.0,
}

PATIENT_ID = {"exact": 14.0, "one_off": 7.0, "differs": -4.0}  # the first two are caps
ID_M = {"exact": 0.93, "one_off": 0.05}
# Typed or left where the name belongs: the name itself was not typed then.
MICROCHIP = {"exact": 20.0, "differs": -4.0}
OWNER_ID = {"exact": 10.0, "differs": -2.0}

SPECIES = {"m": 0.96, "differs": -3.5}
SEX = {"agrees": 0.9, "differs": -3.3}
BIRTH = {"exact": 9.0, "exact_first": 5.0, "year": 0.3, "differs": -5.0}
# A typed age is in whole years, rounded or cut off, so one year off is the rule.
AGE = {"same": 2.1, "agrees": 0.5, "close": -1.5, "differs": -5.0}
AGE_YEARS = {"same": 1.0, "agrees": 1.6, "close": 3.0}
# Two weighings within a week are a few percent apart, and one in ten of all animals of a species
# weighs that much too; up to 15 percent apart it is one in four.
WEIGHT = {"same": 2.8, "agrees": 1.3, "close": -1.0, "unit": -0.5, "differs": -5.0}
WEIGHT_TIMES = {"same": 1.05, "agrees": 1.15, "close": 1.67, "pounds": 2.0, "pounds_most": 2.45}
BREED = {"m": 0.9, "differs": -3.0, "cap": 8.0}

# Here within hours of the run, or within a day: log2(m / share of the patients that were); the rest
# likewise.
SEEN_M = {"hours": 0.85, "day": 0.05}
# Where no visits are entered only requests say who was here, and a run without one is what an
# unmatched result is.
REQUEST_M = 0.25
# Where nobody enters visits: days since the animal was last heard of, and what that is worth.
LAST_SEEN = ((30, 3.0), (60, 1.1), (90, -0.6), (365, -3.1))
TESTS = {"all": 2.0, "some": 1.0, "none": -1.0}
DOCTOR = {"agrees": 2.5, "differs": -1.5}
LOCATION = 1.0
DECEASED = -8.0

# Grades, in FHIR's words: at least that probable.
GRADES = (("certain", 0.99), ("probable", 0.90), ("possible", 0.20))
UNLIKELY = "unlikely"
# What can't be certain is at most so probable: 2 ids in 100 are left over from the run before, and
# of an animal that was here the same day, so a visit does not make up for it.
NOT_CERTAIN = 0.98
# Bits within which two candidates are a tie.
TIE = 0.1

AUTOMATIC_PROBABILITY = 0.999
AUTOMATIC_MARGIN = 10.0
