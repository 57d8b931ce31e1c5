"""The parameter table of a segmentation function: given, from ranges, or guessed from the function's own defaults."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any, Literal, cast

from ciliary.cortex.segmenters.work import Segment
from ciliary.cortex.table import Parameter, ParameterTable

SCALES = ("linear", "log", "int")
_GUESS = 4  # a guessed range is from default / 4 to default * 4


def describe(
    segment: Segment, parameters: ParameterTable | Mapping[str, Sequence[Any]] | None, *, name: str
) -> tuple[ParameterTable, tuple[str, ...]]:
    """The table of a function's parameters, and notes on what was guessed.

    Args:
        segment: the function.
        parameters: a table; or of each parameter ``(low, high, default)``, and behind these ``"log"``, ``"int"`` or
            ``"linear"`` (left out: ``int`` where all three numbers are written without a point) and a sentence on what
            it does; None: every keyword with a number above 0 as its default.
        name: of the perceiver.

    Raises:
        ValueError: a range that is none; or there is nothing to set.
        TypeError: the function does not take these parameters, or needs others too.
    """
    notes: tuple[str, ...] = ()
    if isinstance(parameters, ParameterTable):
        table = parameters
    elif parameters is not None:
        table = ParameterTable(tuple(_row(key, given, name) for key, given in parameters.items()))
    else:
        table, notes = _guess(segment, name)
    _check_call(segment, table, name)
    return table, notes


def _row(key: str, given: Sequence[Any], name: str) -> Parameter:
    try:
        low, high, default, *more = given
        low_number, high_number, default_number = (float(x) for x in (low, high, default))
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name}: expected {key!r} as (low, high, default, 'log' or 'int'), got {given!r}") from error
    is_count = all(isinstance(x, int) for x in (low, high, default))
    scale = next((x for x in more if x in SCALES), "int" if is_count else "linear")
    doc = [x for x in more if x not in SCALES]
    if len(doc) > 1 or not all(isinstance(x, str) for x in doc):
        raise ValueError(f"{name}: {key!r}: expected one of {', '.join(SCALES)} and a sentence, got {more!r}")
    if not low_number < high_number:
        raise ValueError(f"{name}: {key!r}: expected low < high, got {low!r} and {high!r}")
    literal = cast(Literal["linear", "log", "int"], scale)
    sentence = doc[0] if doc else ""
    return Parameter(key, name, low_number, high_number, default_number, "1", literal, "", sentence)


def _guess(segment: Segment, name: str) -> tuple[ParameterTable, tuple[str, ...]]:
    _, *keywords = inspect.signature(segment).parameters.values()  # the first is the image
    defaults = {p.name: p.default for p in keywords if type(p.default) in (int, float)}
    out_of_reach = [key for key, value in defaults.items() if value <= 0]
    if not defaults or out_of_reach:
        bare = [p for p in keywords if p.default is p.empty and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
        if out_of_reach:
            which = f"the default of {', '.join(out_of_reach)} is not above 0"
        elif bare:
            kind = "int = 10" if bare[0].annotation in (int, "int") else "float = 1.0"
            which = f"{', '.join(p.name for p in bare)} has no default: give it one, such as {bare[0].name}: {kind}"
        else:
            which = "no keyword has a number"
        raise ValueError(
            f"{name}: cannot guess what can be set: {which}; or say it, as in "
            "SegmenterPerceiver(segment, {'scale': (50.0, 1000.0, 300.0, 'log')})"
        )
    ranges = {
        key: (max(1, value // _GUESS), value * _GUESS, value) if isinstance(value, int) else
        (value / _GUESS, value * _GUESS, value, "log")
        for key, value in defaults.items()
    }  # fmt: skip
    rows = tuple(_row(key, given, name) for key, given in ranges.items())
    spelled = ", ".join(f"{p.name} {p.low:g}..{p.high:g}" for p in rows)
    return ParameterTable(rows), (f"{name}: ranges guessed from the function's defaults: {spelled}",)


def _check_call(segment: Segment, table: ParameterTable, name: str) -> None:
    try:
        signature = inspect.signature(segment)
    except (TypeError, ValueError):  # of compiled functions, some have none
        return
    try:
        signature.bind(None, **dict.fromkeys(table.names))
    except TypeError as error:
        raise TypeError(
            f"{name}{signature} cannot be called with an image and {', '.join(table.names)}: {error}"
        ) from error
