"""What the numbers of fluency are worth: null, range, and whether images keep their order when little is changed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from torch import Tensor

from ciliary.envs.data.disturbances import disturb
from ciliary.envs.metrics.statistics import Interval, across_image_rank_correlation
from ciliary.tuning.fluency.measure import Measured, Meter, at_size
from ciliary.tuning.fluency.numbers import NULLS, NUMBERS

NOISE = "gaussian_noise"
SEVERITY = 1.0
SMALLER = 0.75  # of the size


@dataclass(frozen=True)
class Worth:
    """One number over images."""

    number: str
    more_fluent_if: str
    null: float
    low: float
    median: float
    high: float
    undefined: int
    at_another_size: Interval | None
    in_noise: Interval | None


@dataclass(frozen=True)
class Sat:
    """One image: as it is, smaller, and in noise."""

    plain: Measured
    smaller: Measured
    noisy: Measured


def sit(meter: Meter, image: Tensor, *, seed: int) -> Sat:
    """Measure an image (3, H, W) three times."""
    smaller = at_size(image, round(SMALLER * max(image.shape[-2:])))
    assert smaller is not None
    noisy = disturb(image[None], NOISE, SEVERITY, seed)[0]
    return Sat(*(meter.measure(one) for one in (image, smaller, noisy)))


def summary(sat: Sequence[Sat]) -> list[Worth]:
    """A row a number, of those that were measured."""
    rows = []
    for number in NUMBERS:
        if number.name not in sat[0].plain.numbers:
            continue
        name = number.name
        plain, smaller, noisy = (
            np.array([getattr(one, f.name).numbers[name] for one in sat], float) for f in fields(Sat)
        )
        known = plain[np.isfinite(plain)]
        low, median, high = np.quantile(known, [0.05, 0.5, 0.95]) if len(known) else (np.nan,) * 3
        more = "more" if number.sign > 0 else "less"
        pairs = [_agreement(plain, other) for other in (smaller, noisy)]
        null = null_of(sat, name)
        rows.append(Worth(name, more, null, float(low), float(median), float(high), len(sat) - len(known), *pairs))
    return rows


def null_of(sat: Sequence[Sat], name: str) -> float:
    """What knowing nothing scores; NaN where there is no such line.

    Of Gini and active share the mean on scrambled images, of their distances 0; SSIM of the mean colour; of V1's
    energies 1.
    """
    if name.endswith("_z"):
        return 0.0
    if name.startswith("energy_error"):
        return 1.0
    return float(np.mean([one.plain.nulls.get(NULLS.get(name, name), np.nan) for one in sat]))


def _agreement(one: np.ndarray, other: np.ndarray) -> Interval | None:
    """Spearman's correlation over the images where both are known; None of fewer than three."""
    known = np.isfinite(one) & np.isfinite(other)
    return across_image_rank_correlation(one[known], other[known]) if known.sum() >= 3 else None
