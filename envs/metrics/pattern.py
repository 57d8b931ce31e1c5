"""Does a cell see components or the pattern? The partial correlations of Movshon et al. (1985)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

#: Difference of the two Z at which a cell counts as one kind or the other (one-sided p = .1: Movshon et al. 1985).
CRITERION = 1.28
_MOST = 1 - 1e-6  # a partial correlation of 1 has no finite Z


class PatternIndex(NamedTuple):
    """Fisher's Z of both partial correlations, over the standard deviation: ``component`` and ``pattern``."""

    component: float
    pattern: float


def pattern_index(grating: np.ndarray, plaid: np.ndarray, *, plaid_deg: float = 120.0) -> PatternIndex:
    """How a cell's answers to plaids go with those of a component cell and of a pattern cell of its tuning.

    Args:
        grating: (N,) answers to gratings of N directions evenly around the circle.
        plaid: (N,) answers to plaids of those directions, each of two gratings half of ``plaid_deg`` to either side.
        plaid_deg: a multiple of twice the step of directions.

    Raises:
        ValueError: fewer than 4 directions, lengths that differ, or a plaid that does not fit their step.
    """
    n = len(grating)
    shift = plaid_deg / 2 / (360 / max(n, 1))
    if n < 4 or len(plaid) != n or abs(shift - round(shift)) > 1e-9:
        raise ValueError(
            f"expected as many answers to plaids as to gratings, 4 or more, in steps of which {plaid_deg / 2:g} "
            f"degrees is a multiple; got {n} and {len(plaid)}"
        )
    both = np.roll(grating, round(shift)) + np.roll(grating, -round(shift))
    r_component, r_pattern, r_between = (
        float(np.corrcoef(a, b)[0, 1]) for a, b in ((plaid, both), (plaid, grating), (both, grating))
    )
    return PatternIndex(_z(r_component, r_pattern, r_between, n), _z(r_pattern, r_component, r_between, n))


def _z(r: float, other: float, between: float, n: int) -> float:
    partial = (r - other * between) / np.sqrt(max((1 - other**2) * (1 - between**2), 1e-12))
    return float(np.arctanh(np.clip(partial, -_MOST, _MOST)) * np.sqrt(n - 3))
