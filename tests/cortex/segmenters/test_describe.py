"""What can be set in a function: given as a table or as ranges, or guessed."""

import pytest

from ciliary.cortex import SegmenterPerceiver
from ciliary.cortex.table import Parameter, ParameterTable
from ciliary_tests.segmentations import bands


def test_ranges_as_tuples_make_a_table():
    def segment(image, a, b, c, d):
        return image

    ranges = {"a": (0.1, 10.0, 1.0, "log", "What a does."), "b": (0, 9, 3), "c": (0, 9, 3.0), "d": (1, 5, 2, "linear")}
    table = SegmenterPerceiver(segment, ranges, name="mine").table
    assert [row.scale for row in table] == ["log", "int", "linear", "linear"]
    assert (table["a"].doc, table["a"].stage) == ("What a does.", "mine")
    assert (table["b"].low, table["b"].high, table["b"].default) == (0, 9, 3)


def test_bare_functions_get_guessed_ranges_and_say_so():
    def segment(image, scale=100.0, n=8, is_soft=True, how="best"):
        return image

    perceiver = SegmenterPerceiver(segment)
    rows = {row.name: (row.low, row.high, row.default, row.scale) for row in perceiver.table}
    assert rows == {"scale": (25, 400, 100, "log"), "n": (2, 32, 8, "int")}
    assert "scale 25..400" in perceiver.notes[0]
    assert SegmenterPerceiver(bands, {"n": (1, 5, 2)}).notes == ()


@pytest.mark.parametrize(
    ("segment", "ranges", "error", "message"),
    [
        (lambda image: image, None, ValueError, "no keyword has a number"),
        (lambda image, a=0.0: image, None, ValueError, "default of a is not above 0"),
        (lambda image, a, b: image, {"a": (0, 1, 0)}, TypeError, "missing a required argument: 'b'"),
        (lambda image, a: image, {"b": (0, 1, 0)}, TypeError, "cannot be called with an image and b"),
        (lambda image, a: image, {"a": (0, 1)}, ValueError, "expected 'a' as"),
        (lambda image, a: image, {"a": (0, 1, 2)}, ValueError, "low <= default <= high"),
        (lambda image, a: image, {"a": (1, 1, 1)}, ValueError, "low < high"),
        (lambda image, a: image, {"a": (0, 1, 0, "logarithmic", "doc")}, ValueError, "one of linear, log, int"),
        (lambda image, a: image, {}, ValueError, "at least one parameter"),
        (3, {}, TypeError, "expected a function"),
    ],
)
def test_wrong_descriptions_are_refused_at_once(segment, ranges, error, message):
    with pytest.raises(error, match=message):
        SegmenterPerceiver(segment, ranges)


def test_a_table_may_be_given():
    table = ParameterTable((Parameter("n", "mine", 1, 5, 3, "1", "int", "", ""),))
    assert SegmenterPerceiver(bands, table).table is table


def test_a_keyword_without_a_default_is_named_with_one_to_give_it():
    def segment(image, sigma: float):
        return image

    def count(image, n: int, how="best", scale=2.0):
        return image

    with pytest.raises(ValueError, match=r"sigma has no default: give it one, such as sigma: float = 1\.0"):
        SegmenterPerceiver(segment)
    with pytest.raises(TypeError, match="missing a required argument: 'n'"):  # something can be set, but it needs more
        SegmenterPerceiver(count)
