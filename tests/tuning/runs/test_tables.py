"""Tables of text and of rows, by hand."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pytest

from ciliary.envs.metrics.statistics import Interval
from ciliary.tuning.runs.tables import (
    Table,
    empty_columns,
    numbers_in,
    pairs_to_markdown,
    rows_to_csv,
    rows_to_markdown,
)


@dataclass(frozen=True)
class Row:
    name: str
    score: Interval | None
    rate: float | None
    n: int


ROWS = [
    Row("a|b", Interval(0.5, -0.0001, 0.75, 4), float("nan"), 3),
    Row("c", None, 0.00012, 4),
    Row("e", Interval(0.5, -np.inf, np.inf, 1), 0.25, 6),
    Row("d", Interval(float("nan"), 0, 0, 0), None, 5),
]


def test_markdown_by_hand():
    assert rows_to_markdown(ROWS, without=["n"]).splitlines() == [
        "| name | score | rate |",
        "| --- | ---: | ---: |",
        "| a\\|b | 0.500 [0.000, 0.750] | – |",
        "| c | – | 0.00012 |",
        "| e | 0.500 | 0.250 |",
        "| d | – | – |",
    ]


def test_csv_is_read_back():
    read = list(csv.DictReader(io.StringIO(rows_to_csv(ROWS))))
    assert read[0] == {
        "name": "a|b",
        "score": "0.5",
        "score_low": "-0.0001",
        "score_high": "0.75",
        "rate": "",
        "n": "3",
    }
    assert read[1] == {"name": "c", "score": "", "score_low": "", "score_high": "", "rate": "0.00012", "n": "4"}


@pytest.mark.parametrize("rows", [[], [ROWS[0], Interval(0, 0, 0, 1)]])
def test_rows_of_one_kind(rows):
    with pytest.raises(ValueError, match="rows of one dataclass"):
        rows_to_csv(rows)


@dataclass(frozen=True)
class Scored:
    name: str
    scores: Mapping[str, Interval | None]
    n: int


def test_a_mapping_is_a_column_a_key():
    rows = [Scored("a", {"x": Interval(0.5, 0.25, 0.75, 4), "y": None}, 3), Scored("b", {"x": None, "y": None}, 4)]
    assert rows_to_markdown(rows).splitlines()[::2] == ["| name | x | y | n |", "| a | 0.500 [0.250, 0.750] | – | 3 |"]
    assert rows_to_csv(rows).splitlines() == ["name,x,x_low,x_high,y,n", "a,0.5,0.25,0.75,,3", "b,,,,,4"]
    assert empty_columns(rows) == ["y"]
    assert numbers_in(rows[0]) == {"x": 0.5, "n": 3}


def test_pairs():
    text = pairs_to_markdown({"one_thing": "a\nb", "other": "c|d"})
    assert text == "| | |\n| --- | --- |\n| one thing | a b |\n| other | c\\|d |\n"


def test_a_table():
    table = Table("Title", ("a", "b"), (("x", "1"), ("y", "2")), note="Note.")
    assert table.markdown() == "## Title\n\n| a | b |\n| --- | ---: |\n| x | 1 |\n| y | 2 |\n\nNote.\n"
    assert table.grid().row_count == 2
    with pytest.raises(ValueError, match="expected 2 cells"):
        Table("Title", ("a", "b"), (("x",),))
