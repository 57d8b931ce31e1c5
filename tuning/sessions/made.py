"""What an episode leaves, and how: its record is kept first, and a figure that cannot be drawn costs no result."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ciliary.tuning.runs.record import printable

Drawing = tuple[str, Path, Callable[[Path], "Path | None"]]
"""Role, file, and what draws it there (or gives None, if there is nothing to draw)."""

Keep = Callable[[Mapping[str, Any]], object]
"""Writes a record down."""


@dataclass(frozen=True, eq=False)
class Made:
    """What an episode left.

    Attributes:
        record: see :mod:`ciliary.tuning.runs.record`.
        theta: physical values of the trials by parameter name, each (T,).
        figures: role -> file.
        pictures: trial -> what its regions look like, (H, W, 3) uint8.
        problems: a line for each figure that could not be drawn.
    """

    record: dict[str, Any]
    theta: Mapping[str, np.ndarray]
    figures: Mapping[str, Path]
    pictures: Mapping[int, np.ndarray]
    problems: tuple[str, ...]


def keep_and_draw(
    record: dict[str, Any], drawings: Sequence[Drawing], saved: Mapping[str, str], keep: Keep
) -> tuple[dict[str, Path], tuple[str, ...]]:
    """Keep a record, which names the figures that are to come, then draw them; its ``files`` are those that came.

    Args:
        record: of the episode; gets ``files``.
        drawings: its figures.
        saved: what was written before, role -> file.
        keep: writes the record down.
    """
    record["files"] = {role: printable(str(path)) for role, path, _ in drawings} | dict(saved)
    keep(record)
    figures, problems = drawn(drawings)
    record["files"] = {role: printable(str(path)) for role, path in figures.items()} | dict(saved)
    return figures, problems


def drawn(drawings: Iterable[Drawing]) -> tuple[dict[str, Path], tuple[str, ...]]:
    """Draw what is beside the result: role -> file, and a line for each that could not be drawn; none costs the rest.

    Args:
        drawings: role, file, and what draws it there (or gives None, if there is nothing to draw).
    """
    figures: dict[str, Path] = {}
    problems = []
    for role, path, drawing in drawings:
        try:
            made = drawing(path)
        except Exception as error:  # noqa: BLE001 -- of Matplotlib, of a font, of a full disk: the result is worth more
            problems.append(f"no {role}: {type(error).__name__}: {error}")
            continue
        if made is not None:
            figures[role] = made
    return figures, tuple(problems)
