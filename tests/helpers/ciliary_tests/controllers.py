"""Controllers on the toy world."""

from __future__ import annotations

import numpy as np

from ciliary.agents import make_controller, run_episode
from ciliary.testing.controller import CountingToy

#: These play weights trained for the real environment's observations; they have tests of their own.
TRAINED = {"policy", "sb3", "hybrid", "hybrid-cmaes"}


def distances(name, *, n_trials, seeds=range(6), **settings):
    """Largest coordinate error |u - optimum| of the applied setting, and share of the default's loss left, per seed."""
    error, left = [], []
    for seed in seeds:
        env = CountingToy()
        trace = run_episode(env, make_controller(name, **settings), seed, n_trials=n_trials)
        error.append(np.abs(trace.u_chosen - env.optimum).max())
        left.append(trace.after["total"] / trace.before["total"])
    return np.array(error), np.array(left)
