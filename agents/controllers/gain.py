"""What one more population may be expected to gain: when to stop searching.

Optuna's terminators do not fit so short a search in so many parameters. Their regret bounds come from a Gaussian
process; after 8 to 64 trials in 36 parameters that process is little more than its prior, and the bound stays at about
two standard deviations of the trials whatever they were (measured on a bowl, Optuna 5.0). Counting trials without
progress (``BestValueStagnationEvaluator``) does not say how much is left to gain.
"""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np


def expected_gain(excess: np.ndarray, *, n: int) -> float:
    """Upper estimate of how far n more trials will fall below the best, if they are like the last ones.

    Expected improvement (Jones, Schonlau & Welch 1998) of one trial, times n, which bounds that of the best of n. Where
    they take what a surrogate model predicts, a trial's excess over the best is here taken as normal, with the mean and
    the standard deviation of the last ones. Each is measured against the best of its own time: a search that makes
    steady progress may be expected to go on with it.

    Args:
        excess: (T,) how far each of the last trials came above the best before its population; below 0 it was a gain.
            Non-finite ones are left out.
        n: trials to come.

    Returns:
        >= 0, in units of the total; inf with fewer than two finite ones, when nothing can be said.
    """
    finite = np.asarray(excess, dtype=np.float64)
    finite = finite[np.isfinite(finite)]
    if len(finite) < 2:
        return math.inf
    mean, std = float(finite.mean()), float(finite.std(ddof=1))
    if std == 0:
        return n * max(0.0, -mean)
    normal, z = NormalDist(), -mean / std
    return n * std * (z * normal.cdf(z) + normal.pdf(z))
