"""How sharp the optimum is at which an image is seen: how much worse it may get within a small step of the settings.

In the spirit of sharpness-aware minimisation (Foret et al. 2021), in the space of perceptual parameters instead of
weights: max over ||d|| <= rho of J(u + d) - J(u), looked for along random directions and along the slope they show.
What is found is a lower bound of that maximum.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

RHO = 0.5  # in u; with 30 parameters a twentieth of the range of each
N_DIRECTIONS = 8


def sharpness(
    total: Callable[[np.ndarray], np.ndarray],
    u: np.ndarray,
    *,
    is_free: np.ndarray,
    rho: float = RHO,
    n_directions: int = N_DIRECTIONS,
    seed: int = 0,
) -> float:
    """The largest rise of J found within ``rho`` of a setting, >= 0: no step at all is among those tried.

    Args:
        total: settings (N, P) in [-1, 1] to J, (N,).
        u: (P,).
        is_free: (P,) bool, parameters that can do something.
        rho: radius, in u; steps over the walls of the box are cut there.
        n_directions: random directions; each is gone both ways.
        seed: of the directions.

    Returns:
        NaN where J(u) is not finite, or no other is.
    """
    rng = np.random.default_rng(seed)
    d = rng.normal(size=(n_directions, len(u))) * is_free
    d *= rho / np.linalg.norm(d, axis=1, keepdims=True).clip(1e-12)
    tried = np.asarray(total(np.clip(np.concatenate([u[None], u + d, u - d]), -1, 1)), dtype=float)
    here, there = tried[0], tried[1:]
    if not np.isfinite(here) or not np.isfinite(there).any():
        return float("nan")
    difference = np.nan_to_num(there[:n_directions] - there[n_directions:])
    slope = difference @ d
    rises = there[np.isfinite(there)] - here
    if np.linalg.norm(slope) > 0:
        uphill = np.clip(u + rho * slope / np.linalg.norm(slope), -1, 1)
        last = np.asarray(total(uphill[None]), dtype=float)
        rises = np.append(rises, last[np.isfinite(last)] - here)
    return float(max(0.0, rises.max()))
