"""Ratings and numbers in, a page and a table out. An exit code."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from rich.console import Console

from ciliary.cortex.cues.base import ProviderUnavailable
from ciliary.cortex.plot import style
from ciliary.cortex.plot.sheet import DPI
from ciliary.envs.metrics.statistics import Interval
from ciliary.tuning.cli.complain import complain
from ciliary.tuning.cli.exit_codes import ALL_WELL, NOTHING, SOME_FAILED, STOPPED, USAGE
from ciliary.tuning.cli.progress import Bar
from ciliary.tuning.correlation.figure import draw_correlations, draw_points, draw_prediction
from ciliary.tuning.correlation.ratings import read_ratings
from ciliary.tuning.correlation.settings import CorrelateSettings
from ciliary.tuning.correlation.statistics import (
    N_LEAST,
    Association,
    Prediction,
    associate,
    corrected,
    predict,
)
from ciliary.tuning.correlation.tables import Numbers, as_numbers, joined, read_numbers, usable
from ciliary.tuning.fluency.job import measure_all
from ciliary.tuning.inspect.page import templates
from ciliary.tuning.runs.files import GENERATOR, write_atomically
from ciliary.tuning.runs.tables import rows_to_csv, rows_to_markdown, shown

LEVEL = 0.05
_TOLD = 8  # numbers of a rating on the screen
_NAMED = 5  # missing images that are named
COLUMNS = ("number", "images", "Pearson", "Spearman", "p", "p corrected")


@dataclass(frozen=True)
class Row:
    """One number beside one rating."""

    rating: str
    number: str
    n: int
    pearson: Interval
    spearman: Interval
    p: float
    p_corrected: float


@dataclass(frozen=True)
class Together:
    """One rating predicted by all numbers."""

    rating: str
    n: int
    numbers: int
    r2: Interval
    shuffled_95: float
    p: float


@dataclass(frozen=True, eq=False)
class Part:
    """What was found of one rating."""

    rating: str
    y: np.ndarray
    found: Sequence[Association]
    prediction: Prediction
    points: Sequence[tuple[str, np.ndarray]]


def run(settings: CorrelateSettings) -> int:
    """Correlate.

    Returns:
        0 all well, 1 nothing could be done, 2 wrong usage, 3 some images have no numbers, 130 stopped by Ctrl-C.
    """
    if settings.ratings is None:
        _complain("expected --ratings FILE, a CSV with a column `image` and others of numbers (see --help)")
        return USAGE
    problems: list[str] = []
    try:
        with Bar(None, title="ratings", unit="images", is_quiet=settings.is_quiet) as bar:
            ratings = read_ratings(settings.ratings, on_image=lambda i, n: bar.move(i, total=n))
        numbers = read_numbers(settings.numbers) if settings.numbers else _measured(settings, ratings, problems)
        for line in (*ratings.notes, *numbers.notes):
            _complain(line)
        ours, theirs, missing = joined(ratings, numbers)
        for name in missing[:_NAMED]:
            _complain(f"{name}: rated, but it has no numbers; left out")
        if len(missing) > _NAMED:
            _complain(f"and {len(missing) - _NAMED} more")
        problems += missing
        parts = _correlate(settings, ratings, numbers, ours, theirs)
        _tell(settings, parts, len(missing))
    except (ValueError, TypeError, KeyError) as error:
        _complain(error)
        return USAGE
    except (ProviderUnavailable, OSError) as error:
        _complain(error)
        return NOTHING
    except KeyboardInterrupt:
        _complain("stopped; nothing was written")
        return STOPPED
    return SOME_FAILED if problems else ALL_WELL


def _measured(settings: CorrelateSettings, ratings: Numbers, problems: list[str]) -> Numbers:
    """The numbers of the images given, or of those that the table of ratings names, beside it or from here."""
    assert settings.ratings is not None
    root = settings.ratings.parent
    asked = settings.images or tuple(str(root / name) if (root / name).exists() else name for name in ratings.images)
    rows = measure_all(replace(settings, images=asked), problems)
    return as_numbers({row.image: row.numbers for row in rows})


def _correlate(
    settings: CorrelateSettings, ratings: Numbers, numbers: Numbers, ours: list[int], theirs: list[int]
) -> list[Part]:
    x, names, left = usable(numbers, theirs)
    if len(ours) < N_LEAST:
        raise ValueError(f"expected {N_LEAST} images or more with ratings and numbers, got {len(ours)}")
    if left:
        _complain(f"{', '.join(left)}: the same for all images, or unknown of many; left out")
    if not names:
        raise ValueError("no number varies over these images")
    parts = []
    with Bar(len(ratings.columns) * settings.n_permutations, unit="shuffles", is_quiet=settings.is_quiet) as bar:
        for i, rating in enumerate(ratings.columns):
            bar.move(title=rating)
            y = ratings.values[ours, i]
            known = np.isfinite(y)
            if known.sum() < N_LEAST or np.ptp(y[known]) == 0:
                reason = "is the same for all images" if known.sum() >= N_LEAST else f"is known of {known.sum()} images"
                if len(ratings.columns) == 1:
                    raise ValueError(f"{rating} {reason}: there is nothing to correlate with")
                _complain(f"{rating} {reason}: left out")
                continue
            parts.append(_part(settings, rating, x[known], y[known], names, bar))
    if not parts:
        raise ValueError("no rating varies over the images that have numbers")
    return parts


def _part(settings: CorrelateSettings, rating: str, x: np.ndarray, y: np.ndarray, names: list[str], bar: Bar) -> Part:
    tried = [associate(name, x[:, i], y) for i, name in enumerate(names)]
    found = [one for one in tried if one is not None]
    p = corrected(np.array([one.p for one in found]), settings.correction)
    found = [replace(one, p_corrected=float(value)) for one, value in zip(found, p, strict=True)]
    found.sort(key=lambda one: -abs(one.spearman.mean))
    prediction = predict(x, y, n_permutations=settings.n_permutations, seed=settings.seed, on_shuffle=bar.advance)
    points = [(one.number, x[:, names.index(one.number)]) for one in found]
    return Part(rating, y, found, prediction, points)


def _tell(settings: CorrelateSettings, parts: list[Part], n_missing: int) -> None:
    rows = [
        Row(part.rating, a.number, a.n, a.pearson, a.spearman, a.p, a.p_corrected) for part in parts for a in part.found
    ]
    together = [
        Together(p.rating, len(p.y), p.prediction.n_numbers, p.prediction.r2, p.prediction.null_high, p.prediction.p)
        for p in parts
    ]
    page = templates(Path(__file__).parent).get_template("page.html.j2").render(
        generator=GENERATOR, title="Ratings beside numbers", facts=_facts(settings, parts, n_missing), style=style,
        columns=COLUMNS, parts=[_shown_part(part, settings.correction) for part in parts],
    )  # fmt: skip
    paths = (
        write_atomically(settings.out / "correlate.html", page.encode()),
        write_atomically(settings.out / "correlate.csv", rows_to_csv(rows).encode()),
        write_atomically(settings.out / "together.csv", rows_to_csv(together).encode()),
    )
    if settings.is_quiet:
        return
    best = [row for part in parts for row in [one for one in rows if one.rating == part.rating][:_TOLD]]
    text = [rows_to_markdown(together), rows_to_markdown(best), *(f"correlate {path}" for path in paths)]
    Console(highlight=False, soft_wrap=True).print("\n".join(text), markup=False)


def _facts(settings: CorrelateSettings, parts: list[Part], n_missing: int) -> list[str]:
    assert settings.ratings is not None
    source = settings.numbers or f"measured at {settings.size_px} px, a cortex that inherits {settings.inherited}"
    lines = [f"Ratings: {settings.ratings.name}. Numbers: {source}."]
    missing = f" {n_missing} rated images had no numbers and were left out." if n_missing else ""
    kind = {"holm": "Holm's", "bh": "Benjamini and Hochberg's"}[settings.correction]
    return [*lines, f"{len(parts[0].y)} images; {kind} correction over the numbers of a rating.{missing}"]


def _shown_part(part: Part, correction: str) -> dict[str, Any]:
    prediction = part.prediction
    n_holding = sum(one.p_corrected < LEVEL for one in part.found)
    words = [
        f"{n_holding} of {len(part.found)} numbers go with it after the correction ({correction}, {LEVEL:g}).",
        f"All {prediction.n_numbers} together: R² {shown(prediction.r2)} on images not learned from; 95 % of the "
        f"shuffles stay below {prediction.null_high:.3f} (p = {prediction.p:.3f}).",
    ]
    figures = [draw_prediction(part.rating, prediction), draw_correlations(part.rating, part.found, LEVEL)]
    figures.append(draw_points(part.rating, part.y, part.points))
    rows = [
        {
            "holds": one.p_corrected < LEVEL,
            "cells": (
                one.number, str(one.n), shown(one.pearson), shown(one.spearman), f"{one.p:.2g}",
                f"{one.p_corrected:.2g}",
            ),
        }
        for one in part.found
    ]  # fmt: skip
    return {"rating": part.rating, "words": words, "pictures": [_png(one) for one in figures], "rows": rows}


def _png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=DPI)
    return buffer.getvalue()


_complain = partial(complain, "correlate")
