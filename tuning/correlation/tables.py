"""Tables of ratings and of numbers, and what images they have in common."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

IMAGE = ("image", "path", "file", "filename", "name")  # of the column that names images, in this order


@dataclass(frozen=True, eq=False)
class Numbers:
    """A table of numbers.

    Attributes:
        images: N, as the table names them.
        columns: K names.
        values: (N, K), NaN where a cell is empty.
        notes: what was passed over.
    """

    images: tuple[str, ...]
    columns: tuple[str, ...]
    values: np.ndarray
    notes: tuple[str, ...] = ()


def read_numbers(path: Path) -> Numbers:
    """A CSV with a column that names images (:data:`IMAGE`, else the first), the others numbers.

    Columns with words are passed over, which is noted; several rows of one image are averaged.

    Raises:
        ValueError: no such table, no rows, or no column of numbers.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            rows = list(reader)
            names = list(reader.fieldnames or ())
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"{path}: cannot be read as a CSV table ({error})") from error
    if not rows or len(names) < 2:
        raise ValueError(f"{path}: expected a CSV with a column of images and others of numbers, got {len(rows)} rows")
    image = next((name for wanted in IMAGE for name in names if name.strip().lower() == wanted), names[0])
    columns, notes = [], []
    for name in names:
        cells = [_number(row.get(name)) for row in rows]
        if name == image or name in IMAGE:
            continue
        if any(cell is None for cell in cells):
            notes.append(f"{path.name}: column {name} holds words, no numbers; passed over")
        else:
            columns.append(name)
    if not columns:
        raise ValueError(f"{path}: expected a column of numbers beside {image}, got {', '.join(names)}")
    by_image: dict[str, list[list[float]]] = {}
    for row in rows:
        by_image.setdefault((row[image] or "").strip(), []).append([_number(row[name]) or 0.0 for name in columns])
    if len(by_image) < len(rows):
        notes.append(f"{path.name}: {len(rows)} rows of {len(by_image)} images; several of one image are averaged")
    values = np.array([_mean(np.array(own)) for own in by_image.values()])
    return Numbers(tuple(by_image), tuple(columns), values, tuple(notes))


def _number(cell: str | None) -> float | None:
    """A cell's number, NaN of an empty one, None of words."""
    text = (cell or "").strip()
    try:
        return float(text) if text else math.nan
    except ValueError:
        return None


def _mean(rows: np.ndarray) -> np.ndarray:
    """(R, K) to (K,), over the rows where something stands."""
    known = np.isfinite(rows)
    total = np.where(known, rows, 0).sum(0)
    return np.where(known.any(0), total / known.sum(0).clip(1), np.nan)


def joined(ratings: Numbers, numbers: Numbers) -> tuple[list[int], list[int], list[str]]:
    """Rows of both tables that are of one image, and the images of ratings that have no numbers.

    Names agree if they are the same, or the same without folder and extension.
    """
    whole = {name: i for i, name in enumerate(numbers.images)}
    short: dict[str, int] = {}
    for i, name in enumerate(numbers.images):
        short.setdefault(Path(name).stem, i)
    ours, theirs, missing = [], [], []
    for i, name in enumerate(ratings.images):
        j = whole.get(name, short.get(Path(name).stem))
        if j is None:
            missing.append(name)
        else:
            ours.append(i)
            theirs.append(j)
    return ours, theirs, missing


def usable(
    numbers: Numbers, rows: Sequence[int], *, least_known: float = 0.8
) -> tuple[np.ndarray, list[str], list[str]]:
    """The values (M, K') of some images in the columns that vary, and are known of most of them.

    Returns:
        values, names of the columns, and names of those left out.
    """
    values = numbers.values[list(rows)]
    is_kept = np.zeros(len(numbers.columns), dtype=bool)
    for i in range(len(numbers.columns)):
        known = values[np.isfinite(values[:, i]), i]
        is_kept[i] = len(known) >= least_known * len(rows) and len(known) > 0 and np.ptp(known) > 0
    kept, left = ([name for name, k in zip(numbers.columns, is_kept, strict=True) if k == one] for one in (True, False))
    return values[:, is_kept], kept, left


def as_numbers(rows: Mapping[str, Mapping[str, float]]) -> Numbers:
    """Image -> column -> number as a table."""
    columns = tuple(dict.fromkeys(name for own in rows.values() for name in own))
    values = np.array([[own.get(name, math.nan) for name in columns] for own in rows.values()], float)
    return Numbers(tuple(rows), columns, values.reshape(len(rows), len(columns)))
