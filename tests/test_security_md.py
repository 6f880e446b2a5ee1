"""SECURITY.md names the tests that hold its promises; each of them is there."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TEXT = (ROOT / "SECURITY.md").read_text()
ITEMS = re.findall(r"^\| (API\d+) (.+?) \| (.+?) \| (.+?) \|$", TEXT, re.M)


def test_all_ten_items_in_their_order() -> None:
    assert [item for item, *_ in ITEMS] == [f"API{number}" for number in range(1, 11)]


def test_each_item_names_a_test() -> None:
    for item, _, _, tests in ITEMS:
        assert re.search(r"`tests/\S+`", tests), item


def test_each_named_test_is_there() -> None:
    named = re.findall(r"`(tests/[^`]+)`", TEXT)
    assert len(named) > 20
    for name in named:
        path, _, function = name.partition("::")
        assert (ROOT / path).is_file(), name
        source = (ROOT / path).read_text()
        assert re.search(rf"^def {function or 'test_'}", source, re.M), name


def test_each_named_id_and_file_is_there() -> None:
    for name in re.findall(r"`((?:deploy|labs|pims|docs)/[^`]+)`", TEXT):
        assert (ROOT / name).exists(), name
