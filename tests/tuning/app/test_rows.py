"""A parameter as a slider: its steps, its digits, its words."""

from __future__ import annotations

import pytest

from ciliary.cortex.parameters import PARAMETERS
from ciliary.cortex.table import Parameter
from ciliary.tuning.app import rows


def row(low, high, default, scale, name="reach_px", unit="px^2"):
    return Parameter(name, "M2", low, high, default, unit, scale, "Ours 2026", "How far.")


def test_steps_are_equal_in_u():
    log = row(1, 100, 10, "log")
    assert [rows.value_at(log, step) for step in (0, 50, 100, 200)] == [1, 3.162, 10, 100]
    linear = row(-2, 2, 0, "linear")
    assert [rows.value_at(linear, step) for step in (0, 50, 100, 200)] == [-2, -1, 0, 2]


def test_a_count_has_a_step_for_each_whole_number():
    count = row(3, 9, 4, "int")
    assert rows.n_steps(count) == 6
    assert [rows.value_at(count, step) for step in range(7)] == [3, 4, 5, 6, 7, 8, 9]
    assert rows.step_of(count, 4.6) == 2  # the nearest


def test_a_slider_comes_back_to_where_it_was_for_every_parameter():
    for one in PARAMETERS:
        for step in range(rows.n_steps(one) + 1):
            value = rows.value_at(one, step)
            assert one.low <= value <= one.high
            assert rows.step_of(one, value) == step, one.name


@pytest.mark.parametrize(
    ("low", "high", "scale", "digits"),
    [(0.02, 2, "log", 4), (30, 2000, "log", 1), (0, 1, "linear", 3), (8, 800, "log", 2), (2, 40, "int", 0)],
)
def test_digits_tell_neighbours_apart(low, high, scale, digits):
    one = row(low, high, low, scale)
    assert rows.n_decimals(one) == digits
    values = [rows.value_at(one, step) for step in range(rows.n_steps(one) + 1)]
    assert len({round(value, digits) for value in values}) == len(values)


def test_words_of_a_row():
    one = row(1, 4, 2, "int")
    assert (rows.called(one), rows.unit_of(one)) == ("reach", "px²")
    assert rows.hint(one).splitlines() == [
        "How far.",
        "1 to 4 px², default 2",
        "source: Ours 2026",
        f"--set {one.name}=…",
    ]
    assert rows.unit_of(row(1, 4, 2, "int", unit="1")) == ""
