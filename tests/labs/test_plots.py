from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labs import plots
from labs.plots import Point

START = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)


def point(number: str, day: float = 0, **fields: object) -> Point:
    return Point(
        at=START + timedelta(days=day),
        number=Decimal(number),
        text=number,
        **fields,  # type: ignore[arg-type]
    )


def drawn(*points: Point) -> str:
    return plots.trend(points, points[0].at, points[-1].at, "WBC over time")


def heights(svg: str) -> list[float]:
    return [float(y) for y in re.findall(r'class="aim" cx="[\d.]+" cy="([\d.]+)"', svg)]


def test_a_higher_value_stands_higher() -> None:
    first, second, third = heights(drawn(point("1"), point("9", 1), point("5", 2)))
    assert second < third < first


def test_no_value_is_written_over_the_scale() -> None:
    """The first stands to the right of its point, the last too; those between above theirs."""
    svg = drawn(point("5"), point("6", 1), point("7", 2))
    shown = re.findall(r'<text class="(v[^"]*)" x="[\d.]+" y="[\d.]+">(\d)</text>', svg)
    assert shown == [("v aside", "5"), ("v", "6"), ("v aside", "7")]


def test_a_value_below_a_limit_is_joined_to_nothing() -> None:
    svg = drawn(point("5"), point("6", 1), point("2", 2, qualifier="<"), point("7", 3))
    lines = re.findall(r'<polyline points="([^"]*)"', svg)
    assert [len(line.split()) for line in lines] == [2]
    assert svg.count("dot open") == 1


def test_a_measuring_range_is_no_band() -> None:
    reference = drawn(point("5", low="1", high="9"), point("6", 1, low="1", high="9"))
    measuring = drawn(
        point("5", low="1", high="9", measuring=True), point("6", 1, low="5.5", measuring=True)
    )
    assert reference.count('class="band"') == 2 and "limit" not in reference
    assert 'class="band"' not in measuring and 'class="limit"' in measuring


def test_each_band_is_of_the_range_that_came_with_its_value() -> None:
    svg = drawn(point("5", low="1", high="9"), point("5", 10, low="4", high="6"))
    narrow, wide = sorted(
        float(height) for height in re.findall(r'class="band"[^>]*height="([\d.]+)"', svg)
    )
    assert wide > 3.5 * narrow


@pytest.mark.parametrize(
    ("flag", "shape"),
    [("H", plots.SHAPES["H"]), ("L", plots.SHAPES["L"]), ("HH", plots.DIAMOND), ("N", "<circle")],
)
def test_a_flag_has_a_shape(flag: str, shape: str) -> None:
    assert shape in drawn(point("5", flag=flag))


def test_nothing_of_a_value_or_an_address_is_markup() -> None:
    evil = '"><script>alert(1)</script>'
    svg = plots.trend([point("5", words=evil, href=evil)], START, START, evil)
    svg += drawn(Point(at=START, number=Decimal(1), text="<b>&"))
    assert "<script" not in svg and "<b>" not in svg


@given(
    st.lists(
        st.tuples(
            st.decimals(-(10**12), 10**12, places=4),
            st.integers(0, 9000),
            st.sampled_from(["", "<", ">"]),
            st.sampled_from(["", "1", "-3"]),
            st.sampled_from(["", "7", "1e300"]),
        ),
        min_size=1,
        max_size=12,
    )
)
def test_whatever_was_measured_can_be_drawn(
    values: list[tuple[Decimal, int, str, str, str]],
) -> None:
    points = [
        Point(at=START + timedelta(days=day), number=number, qualifier=q, low=low, high=high)
        for number, day, q, low, high in sorted(values, key=lambda value: value[1])
    ]
    svg = plots.trend(points, points[0].at, points[-1].at, "x")
    assert "nan" not in svg and "inf" not in svg.lower() and "style=" not in svg
    assert all(0 <= height <= plots.HEIGHT for height in heights(svg))
    assert len(svg.split('class="x"')) <= 7


def test_huge_numbers_do_not_break_a_page() -> None:
    svg = drawn(point("1e399"), point("-1e399", 1), point("1e-399", 4000))
    assert "nan" not in svg and len(heights(svg)) == 3


@pytest.mark.parametrize(
    ("low", "high"), [("2.45", "3.9"), ("-7.3", "-1.2"), ("136.5", "158"), ("0.0012", "0.0019")]
)
def test_every_rule_lies_in_the_plot(low: str, high: str) -> None:
    svg = drawn(point(low), point(high, 1))
    rules = [float(y) for y in re.findall(r'class="rule" d="M46 ([\d.-]+)H', svg)]
    assert len(rules) >= 2
    assert all(plots.TOP - 1 <= y <= plots.HEIGHT - plots.BOTTOM + 1 for y in rules)
