"""Leaf accounting: all of a message ends in a typed field or, by JSON pointer, in `extra`."""

from __future__ import annotations

import base64
import copy
import json
from dataclasses import asdict
from typing import Any
from zoneinfo import ZoneInfo

from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from integrations.heska.wire import strict
from integrations.heska.wire.inbound import NotUnderstood, report
from integrations.heska.wire.reader import normal
from tests.heska import examples

EXAMPLES = [examples.load(number) for number in ("06", "07", "08")]
DENVER = ZoneInfo("America/Denver")
slow = settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])

text = st.text(
    alphabet=st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=12
)
leaf = (
    st.none()
    | st.booleans()
    | st.integers(min_value=-(10**12), max_value=10**12)
    | st.floats(allow_nan=False, allow_infinity=False)
    | text
)
anything = st.recursive(
    leaf,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
    max_leaves=6,
)


def names(value: Any) -> set[str]:
    """Every field name in the examples, as the reader compares them."""
    if isinstance(value, dict):
        return {normal(key) for key in value} | {n for v in value.values() for n in names(v)}
    return {n for v in value for n in names(v)} if isinstance(value, list) else set()


KNOWN = sorted({"Age", "Name", "MicrochipNumber"} | {n for e in EXAMPLES for n in names(e)})


def objects(value: Any, pointer: str = "") -> list[tuple[str, dict[str, Any]]]:
    """Every object in it with its pointer."""
    found = []
    if isinstance(value, dict):
        found.append((pointer, value))
        for key, inner in value.items():
            found += objects(inner, f"{pointer}/{escape(key)}")
    elif isinstance(value, list):
        for position, inner in enumerate(value):
            found += objects(inner, f"{pointer}/{position}")
    return found


def escape(key: str) -> str:
    return key.replace("~", "~0").replace("/", "~1")


def leaves(value: Any, pointer: str) -> dict[str, Any]:
    if isinstance(value, dict) and value:
        return {
            p: v
            for key, inner in value.items()
            for p, v in leaves(inner, f"{pointer}/{escape(key)}").items()
        }
    if isinstance(value, list) and value:
        return {
            p: v
            for n, inner in enumerate(value)
            for p, v in leaves(inner, f"{pointer}/{n}").items()
        }
    return {pointer: value}


def as_kept(value: Any) -> Any:
    """A number is kept as the text that it was."""
    if isinstance(value, bool) or value is None or isinstance(value, (str, dict, list)):
        return value
    return json.dumps(value)


def flat(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return [leaf for inner in value.values() for leaf in flat(inner)]
    if isinstance(value, (list, tuple)):
        return [leaf for inner in value for leaf in flat(inner)]
    return [value]


@slow
@given(st.data())
def test_an_unknown_field_anywhere_is_kept_under_its_pointer(data):
    message = copy.deepcopy(data.draw(st.sampled_from(EXAMPLES)))
    plain = report(strict.loads(json.dumps(message).encode()), DENVER)
    before = leaves(message, "")
    for _ in range(data.draw(st.integers(min_value=1, max_value=3))):
        _, place = data.draw(st.sampled_from(objects(message)))
        name = data.draw(text)
        assume(normal(name) not in KNOWN and name not in place)
        assume(all(normal(name) != normal(key) for key in place))
        place[name] = data.draw(anything)
    expected = {p: value for p, value in leaves(message, "").items() if p not in before}
    read = report(strict.loads(json.dumps(message).encode()), DENVER)
    for pointer, value in expected.items():
        assert read.extra[pointer] == as_kept(value), pointer
    for pointer, value in plain.extra.items():
        assert read.extra[pointer] == value
    assert read.runs == plain.runs
    assert read.identity == plain.identity


@slow
@given(st.data())
def test_any_value_in_a_known_field_is_read_or_kept(data):
    """A field that we do read, holding anything at all: its leaves are somewhere, word for word."""
    message = copy.deepcopy(data.draw(st.sampled_from(EXAMPLES)))
    pointer, place = data.draw(st.sampled_from(objects(message)))
    assume("kept" not in place)
    name = data.draw(st.sampled_from(sorted(place)))
    before = place[name]
    place[name] = data.draw(anything)
    assume(place[name] != before)
    try:
        read = report(strict.loads(json.dumps(message).encode()), DENVER)
    except NotUnderstood:
        return  # quarantined, with every byte
    typed = [leaf for leaf in flat(asdict(read)) if leaf is not None]
    texts = [str(leaf).strip() for leaf in typed]
    for at, value in leaves(place[name], f"{pointer}/{escape(name)}").items():
        if value in (None, "", {}, []) or (isinstance(value, str) and not value.strip()):
            continue
        if at in read.extra:
            assert read.extra[at] == as_kept(value)
            continue
        said = as_kept(value)
        spelt = str(said).lower() if isinstance(said, bool) else str(said).strip()
        assert (
            spelt in texts
            or any(spelt in one for one in texts)
            or name in ("Data",)  # decoded
            or spelt.casefold() in texts
            or is_number_of(spelt, texts)
        ), (at, value)


def is_number_of(spelt: str, texts: list[str]) -> bool:
    return spelt.lstrip("+-").isdecimal() and str(int(spelt)) in texts


def test_the_data_of_an_attachment_is_in_its_content():
    message = examples.load("06")
    read = report(strict.loads(json.dumps(message).encode()), DENVER)
    assert base64.b64encode(read.files[0].content).decode() == message["Attachments"][0]["Data"]


def test_every_field_of_the_examples_keeps_a_text_that_nobody_expects():
    said = "Zq-9 leaf"
    for example in EXAMPLES:
        for position in range(len(objects(example))):
            for name in objects(example)[position][1]:
                message = copy.deepcopy(example)
                objects(message)[position][1][name] = said
                if name == "Tests":
                    continue  # without tests it is quarantined, with every byte
                read = report(strict.loads(json.dumps(message).encode()), DENVER)
                found = [*flat(asdict(read))]
                content = [leaf for leaf in found if isinstance(leaf, bytes)]
                assert any(said in str(leaf) for leaf in found) or said.encode() in content, name
