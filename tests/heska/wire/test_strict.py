"""The one strict JSON reader, against senders that are careless and senders that are hostile."""

from __future__ import annotations

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from integrations.heska.wire.strict import Ambiguous, NotJson, Number, dumps, loads, safe


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (b"", "The body is empty."),
        (b" \n", "The body is empty."),
        (b'{"a": "b', "It ends in the middle of a string."),
        (b'{"a": 1', "It ends too early."),
        (b"[1, 2", "It ends too early."),
        (b'{"a": NaN}', "NaN is not JSON."),
        (b"[Infinity]", "Infinity is not JSON."),
        (b"[-Infinity]", "-Infinity is not JSON."),
        (b'{"a": "\xff"}', "Byte 8 is not UTF-8."),
        (b'{"a": "\xed\xa0\x80"}', "Byte 8 is not UTF-8."),
        (b"\xff\xfe{\x00}\x00", "Byte 1 is not UTF-8."),
        (b"{'a': 1}", "It stops being JSON"),
        (b'{"a": 1,}', "It stops being JSON"),
        (b'{"a": 01}', "It stops being JSON"),
        (b"{} {}", "It stops being JSON"),
        (b"<html></html>", "It stops being JSON"),
        (b'{"a": "\t"}', "It stops being JSON"),
        (b"\xef\xbb\xbf\xef\xbb\xbf{}", "JSON"),
    ],
)
def test_what_is_no_json_is_refused_in_words(raw, words):
    with pytest.raises(NotJson) as refused:
        loads(raw)
    assert words in str(refused.value)


def test_a_byte_order_mark_is_tolerated():
    assert loads(b"\xef\xbb\xbf" + b'{"a": 1}') == {"a": "1"}


@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":', "}")])
def test_the_limit_of_depth_is_64(opening, closing):
    loads((opening * 64 + "1" + closing * 64).encode())
    for depth in (65, 1_000, 200_000):
        with pytest.raises(NotJson, match="nested more than 64"):
            loads((opening * depth + "1" + closing * depth).encode())


def test_brackets_inside_strings_are_no_depth():
    text = '"' + "[{" * 500 + '\\"' + "[" * 500 + '\\\\"'
    assert loads(f'{{"a": {text}, "b": [1]}}'.encode())["b"] == ["1"]


def test_a_key_that_stands_twice_is_ambiguous_at_any_depth():
    for raw in (b'{"a": 1, "a": 1}', b'[{"b": {"a": 1, "c": 2, "a": 3}}]'):
        with pytest.raises(Ambiguous, match="'a' stands twice"):
            loads(raw)
    # Nobody can say whether the next bytes would have made it JSON.
    with pytest.raises(NotJson):
        loads(b'{"x": {"a": 1, "a": 1}, "b')


def test_a_hostile_body_costs_no_more_than_a_second_or_two():
    """Looking for the key that stands twice was quadratic: this body took hours."""
    keys = ",".join(f'"k{n}":1' for n in range(200_000))
    started = time.process_time()
    with pytest.raises(Ambiguous):
        loads(f'{{{keys},"k199999":1}}'.encode())
    loads(b'"' + b"A" * 5_000_000 + b'"')
    loads(b'"' + b'\\"[' * 1_000_000 + b'"')
    assert time.process_time() - started < 4


@pytest.mark.parametrize(
    "literal", ["9.0", "1e400", "-0", "0.10", "1E+2", "1" * 400, "3." + "1" * 1000]
)
def test_a_number_stays_the_text_that_it_was(literal):
    (number,) = loads(f"[{literal}]".encode())
    assert number == literal
    assert isinstance(number, Number)
    assert dumps([number]) == f"[{literal}]".encode()


def test_nul_and_lone_surrogates_are_legal_and_made_safe():
    value = loads(rb'{"a": "x\u0000y\ud800z"}')
    assert safe(value["a"]) == "x\ufffdy\ufffdz"
    assert safe(loads(rb'"\ud83d\ude00"')) == "😀"


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(json_values)
def test_a_part_of_an_array_is_written_as_it_was_read(value):
    raw = json.dumps(value).encode()
    assert json.loads(dumps(loads(raw))) == json.loads(raw)


@given(st.binary(max_size=200) | st.text(alphabet='[]{}",:\\ 0123456789eE+-.tfnul').map(str.encode))
def test_arbitrary_bytes_are_read_or_refused(raw):
    try:
        value = loads(raw)
    except (NotJson, Ambiguous) as refused:
        assert str(refused)
        return
    assert json.loads(raw.removeprefix(b"\xef\xbb\xbf").decode()) == json.loads(dumps(value))


@given(json_values, st.data())
def test_a_truncated_object_is_never_json(value, data):
    raw = json.dumps({"a": value}).encode()
    cut = data.draw(st.integers(min_value=0, max_value=len(raw) - 1))
    with pytest.raises(NotJson):
        loads(raw[:cut])
