"""Tables and curves of exams."""

from __future__ import annotations

import pytest

from ciliary.envs.metrics.statistics import Interval
from ciliary.tuning.benchmarks.curves import Curves, draw_curves
from ciliary.tuning.benchmarks.findings import numbers_of, percent, rounded

INF, NAN = float("inf"), float("nan")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.1234, "12.3"),
        (-1e-6, "0.0"),
        (NAN, "–"),
        (Interval(0.5, 0.25, 0.75, 9), "50.0 [25.0, 75.0]"),
        (Interval(0.5, -INF, INF, 1), "50.0"),
    ],
)
def test_percent(value, text):
    assert percent(value) == text


def test_numbers():
    assert rounded(NAN) == "–"
    assert rounded(1.005, 1) == "1.0"
    assert numbers_of(Interval(0.5, -INF, INF, 1)) == {"mean": 0.5, "low": None, "high": None}


def test_curves():
    lines = {"one": [Interval(0.1, 0.05, 0.2, 9), Interval(0.3, -INF, INF, 1)]}
    figure = draw_curves(Curves({"left": lines, "right": lines}, [1, 5], "x", "y", ("chance", 0.2), True, 100.0))
    left, right = figure.axes
    assert left.lines[0].get_ydata() == pytest.approx([10, 30])
    assert left.lines[1].get_ydata() == pytest.approx([20, 20])
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["one", "chance"]
    assert right.get_ylim() == left.get_ylim()
